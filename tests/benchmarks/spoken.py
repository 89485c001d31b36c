"""Clean speech to judge a bundle with: clips of BENCH_SPEECH, with what is said in them."""

from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from model_export.data import name_of, read_corpus
from model_export.data.recordings import load_waveform
from service.arrays import FloatArray
from service.bundle import TextNormalisation, load_bundle
from tests.benchmarks import options
from tests.benchmarks.clips import SPEECH

SYNTHETIC = "kokoro"


class SpokenClip(NamedTuple):
    """A waveform `[samples]` and its words."""

    waveform: FloatArray
    words: tuple[str, ...]
    text: str


class SpokenSet(NamedTuple):
    """A set of clips."""

    name: str
    clips: tuple[SpokenClip, ...]


@cache
def sets() -> tuple[SpokenSet, ...]:
    """Every set that is named; else the synthetic clips of the tests."""
    return tuple(map(_read, options.SPEECH)) or (_own(),)


@cache
def rules() -> TextNormalisation:
    """How the bundle writes."""
    return load_bundle(options.BUNDLE).manifest.text_normalisation


def _read(reference: str) -> SpokenSet:
    clips = read_corpus(reference, rules()).clips
    step = -(-len(clips) // options.SPEECH_CLIPS)
    return SpokenSet(name_of(reference), tuple(_load(clips[::step])))


def _own() -> SpokenSet:
    clips = read_corpus(str(SPEECH / "manifest.jsonl"), rules()).clips
    ours = [clip for clip in clips if SYNTHETIC in str(clip.audio)]
    return SpokenSet("the tests' synthetic clips", tuple(_load(ours)))


def _load(clips) -> Iterator[SpokenClip]:
    for clip in clips:
        yield SpokenClip(load_waveform(clip.audio), tuple(clip.text.split()), clip.text)
