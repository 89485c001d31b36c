"""Clean speech to judge a bundle with: clips of BENCH_SPEECH, with what is said in them."""

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import NamedTuple, TypeVar

from model_export.data import Clip, name_of, read_corpus
from model_export.data.recordings import load_waveform
from service.arrays import FloatArray
from service.bundle import TextNormalisation, load_bundle
from tests.benchmarks import options
from tests.benchmarks.clips import SPEECH

SYNTHETIC = "kokoro"
T = TypeVar("T")


class SpokenClip(NamedTuple):
    """A waveform `[samples]` and its words, written as the bundle writes."""

    waveform: FloatArray
    words: tuple[str, ...]


class SpokenSet(NamedTuple):
    """A set of clips."""

    name: str
    clips: tuple[SpokenClip, ...]


@cache
def sets() -> tuple[SpokenSet, ...]:
    """Every set that is named; else the synthetic clips of the tests."""
    return tuple(map(_read, options.SPEECH)) or (_own(),)


def sentences() -> list[str]:
    """What is said in the first set."""
    return [" ".join(clip.words) for clip in evenly(sets()[0].clips, options.SENTENCES)]


def evenly(items: Sequence[T], most: int) -> Sequence[T]:
    """At most so many, from all over."""
    return items[:: -(-len(items) // most)]


def _read(reference: str) -> SpokenSet:
    clips = read_corpus(reference, _rules()).clips
    return SpokenSet(name_of(reference), tuple(_load(evenly(clips, options.SPEECH_CLIPS))))


def _own() -> SpokenSet:
    clips = read_corpus(str(SPEECH / "manifest.jsonl"), _rules()).clips
    ours = [clip for clip in clips if SYNTHETIC in str(clip.audio)]
    return SpokenSet("the tests' synthetic clips", tuple(_load(ours)))


def _rules() -> TextNormalisation:
    return load_bundle(options.BUNDLE).manifest.text_normalisation


def _load(clips: Iterable[Clip]) -> Iterator[SpokenClip]:
    for clip in clips:
        yield SpokenClip(load_waveform(clip.audio), tuple(clip.text.split()))
