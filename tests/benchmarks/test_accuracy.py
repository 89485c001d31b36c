"""Error rates beside Whisper's and pocketsphinx', on the same clips in the same run.

BENCH_TEST=a.jsonl,b.jsonl#SPLIT names the sets; nothing here may have been trained or tuned on.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache

import jiwer
import numpy as np
import pytest
from transformers.models.whisper.english_normalizer import EnglishTextNormalizer

from model_export.data import Clip, name_of, read_corpus
from model_export.data.recordings import load_waveform
from model_export.decoding import DecodingChoice
from model_export.evaluate import open_recogniser
from model_export.training.training_data import duration_s
from service.arrays import FloatArray
from service.audio import SAMPLE_RATE_HZ
from service.bundle import TextNormalisation, load_bundle
from service.options import Decoding
from tests.benchmarks import options
from tests.benchmarks.tables import print_table

AS_WRITTEN = TextNormalisation(lowercase=False, keep="'-.,?!:;\"")
RESAMPLES = 2000
TIMED_S = (2.0, 10.0)
Transcribe = Callable[[FloatArray], str]


@dataclass(frozen=True)
class Score:
    """What one recogniser made of a set.

    Attributes:
        words: of each reference.
        errors: words wrong, of each clip.
        cer_percent: over all clips.
        speed: seconds of audio per second, clips of 2 to 10 s.
    """

    words: np.ndarray
    errors: np.ndarray
    cer_percent: float
    speed: float


@cache
def normaliser() -> EnglishTextNormalizer:
    """OpenAI's, which lets 'twenty one' be 21; without its list of British spellings."""
    return EnglishTextNormalizer({})


def ours(decoding: Decoding) -> Transcribe:
    """The bundle, as `wsm-export evaluate` reads it."""
    return open_recogniser(options.BUNDLE, DecodingChoice(decoding=decoding)).transcribe


def whisper(folder: str) -> Transcribe:
    """faster-whisper, int8, beam 1, as many workers as cores."""
    model = pytest.importorskip("faster_whisper").WhisperModel(
        folder, device="cpu", compute_type="int8", cpu_threads=1, num_workers=options.CORES
    )

    def transcribe(waveform: FloatArray) -> str:
        segments, _ = model.transcribe(waveform, beam_size=1, language="en")
        return "".join(segment.text for segment in segments)

    return transcribe


def pocketsphinx() -> Transcribe:
    """Its English model and trigram, as the package brings them."""
    decoder_of = pytest.importorskip("pocketsphinx").Decoder

    def transcribe(waveform: FloatArray) -> str:
        decoder = decoder_of(samprate=SAMPLE_RATE_HZ, loglevel="FATAL")
        decoder.start_utt()
        decoder.process_raw((waveform * 32767).astype(np.int16).tobytes(), full_utt=True)
        decoder.end_utt()
        found = decoder.hyp()
        return found.hypstr if found else ""

    return transcribe


def recognisers() -> dict[str, Callable[[], Transcribe]]:
    """All that can be compared here, ours first."""
    found: dict[str, Callable[[], Transcribe]] = {"ours, greedy": lambda: ours("greedy")}
    if load_bundle(options.BUNDLE).manifest.language_model:
        found = {"ours, beam": lambda: ours("beam")} | found
    for name, folder in (("tiny.en", options.WHISPER_TINY), ("base", options.WHISPER_BASE)):
        if folder:
            found[f"Whisper {name}"] = lambda folder=folder: whisper(folder)
    return found | {"pocketsphinx": pocketsphinx}


@pytest.mark.bench
@pytest.mark.parametrize("reference", options.TEST)
def test_error_rates(reference: str) -> None:
    clips = read_corpus(reference, AS_WRITTEN).clips
    pairs = [(clip, load_waveform(clip.audio)) for clip in clips]
    shortest_s = options.TEST_SHORTEST_S  # of what the manifest says, as `evaluate` counts
    for what, chosen in {
        f"{shortest_s:g} s and more": [p for p in pairs if duration_s(p[0]) >= shortest_s],
        "shorter": [p for p in pairs if duration_s(p[0]) < shortest_s],
    }.items():
        if chosen:
            scores = {name: score(make(), chosen) for name, make in recognisers().items()}
            title = f"Error rates on {name_of(reference)}, {what}: {len(chosen)} clips"
            header = ["recogniser", "WER %", "CER %", "WER, less ours", "x real time"]
            print_table(title, header, rows(scores), NOTE)


NOTE = (
    "95 % intervals by bootstrap over clips. Text as OpenAI's normaliser leaves it. Speed: clips "
    "of 2 to 10 s, one thread for each core."
)


def score(transcribe: Transcribe, pairs: Sequence[tuple[Clip, FloatArray]]) -> Score:
    """Transcribe everything and count what is wrong."""
    texts, speed = hear(transcribe, [waveform for _, waveform in pairs])
    references = [normaliser()(clip.text) for clip, _ in pairs]
    hypotheses = [normaliser()(text) for text in texts]
    counts = [jiwer.process_words(r, h) for r, h in zip(references, hypotheses, strict=True)]
    return Score(
        words=np.array([len(text.split()) for text in references]),
        errors=np.array([c.substitutions + c.deletions + c.insertions for c in counts]),
        cer_percent=100 * jiwer.cer(references, hypotheses),
        speed=speed,
    )


def hear(transcribe: Transcribe, waveforms: Sequence[FloatArray]) -> tuple[list[str], float]:
    """Text of each waveform, and the speed of those of 2 to 10 s, which come first."""
    places = sorted(range(len(waveforms)), key=lambda place: not is_timed(waveforms[place]))
    ordered = [waveforms[place] for place in places]
    timed = list(filter(is_timed, ordered))
    with ThreadPoolExecutor(options.CORES) as pool:
        transcribe(waveforms[0])
        began_s = time.perf_counter()
        texts = list(pool.map(transcribe, timed))
        taken_s = time.perf_counter() - began_s
        texts += pool.map(transcribe, ordered[len(timed) :])
    by_place = dict(zip(places, texts, strict=True))
    speed = sum(map(len, timed)) / SAMPLE_RATE_HZ / taken_s if timed else float("nan")
    return [by_place[place] for place in range(len(waveforms))], speed


def is_timed(waveform: FloatArray) -> bool:
    """Whether a waveform `[samples]` is of a length whose speed is told."""
    return TIMED_S[0] <= len(waveform) / SAMPLE_RATE_HZ <= TIMED_S[1]


def rows(scores: dict[str, Score]) -> list[list[str]]:
    """A row for each; differences are between paired clips."""
    first = next(iter(scores.values()))
    table = []
    for name, one in scores.items():
        wer, low, high = interval(one.errors, one.words)
        by, by_low, by_high = interval(one.errors - first.errors, one.words)
        less = "" if one is first else f"{by:+.1f} [{by_low:+.1f}, {by_high:+.1f}]"
        cells = [f"{wer:.1f} [{low:.1f}, {high:.1f}]", f"{one.cer_percent:.1f}", less]
        table.append([name, *cells, f"{one.speed:.0f} ({one.speed / first.speed:.2f} of ours)"])
    return table


def interval(errors: np.ndarray, words: np.ndarray) -> tuple[float, float, float]:
    """A rate in percent, and its 95 % interval."""
    draws = np.random.default_rng(0).integers(len(words), size=(RESAMPLES, len(words)))
    rates = 100 * errors[draws].sum(axis=1) / words[draws].sum(axis=1)
    low, high = np.percentile(rates, (2.5, 97.5))
    return 100 * errors.sum() / words.sum(), float(low), float(high)
