"""When words begin, against the truth, in clips joined with known gaps.

The truth: flite's plan of what it speaks, for every word; for the clips of BENCH_SPEECH, the onset
of their sound, for their first words.
"""

from collections.abc import Sequence

import numpy as np
import pytest

from service.audio import SAMPLE_RATE_HZ
from tests.benchmarks import options
from tests.benchmarks.flite import Spoken, TimedWord, Voice
from tests.benchmarks.joining import ROOM_DB, Joined, join, onset_s
from tests.benchmarks.spoken import SpokenSet, sentences, sets
from tests.benchmarks.tables import print_table, verdict
from tests.benchmarks.timing import estimate
from tests.benchmarks.words import faults, match

GAP_S = (0.3, 2.0)
GAPS = {"silence": None, f"noise, {ROOM_DB:g} dB": ROOM_DB}
MEDIAN_LIMIT_MS, P95_LIMIT_MS = 100, 250
HEADER = (
    "gaps",
    "decoding",
    "words matched",
    "median error, ms",
    "95 %, ms",
    "later by (median), ms",
    "faulty times",
    f"within {MEDIAN_LIMIT_MS} and {P95_LIMIT_MS} ms",
)


@pytest.mark.bench
@pytest.mark.parametrize("name", options.VOICES)
def test_starts_of_all_words(service, name: str) -> None:
    try:
        voice = Voice(name)
    except OSError as error:
        pytest.skip(f"flite's voice {name} is not here ({error}); on Debian: apt install flite")
    spoken = [voice.speak(sentence) for sentence in sentences()]
    print_starts(service, f"Starts of all words, flite's voice {name}", spoken)


@pytest.mark.bench
def test_starts_of_first_words(service) -> None:
    for chosen in sets():
        print_starts(service, f"Starts of first words, {chosen.name}", first_words(chosen))


def first_words(chosen: SpokenSet) -> list[Spoken]:
    """Clips of whose words only the first has a time."""
    return [
        Spoken(
            clip.waveform,
            tuple(
                TimedWord(word, float("nan") if place else onset_s(clip.waveform))
                for place, word in enumerate(clip.words)
            ),
        )
        for clip in chosen.clips[: options.SENTENCES]
    ]


def print_starts(service, title: str, spoken: Sequence[Spoken]) -> None:
    rows = []
    for gaps, room_db in GAPS.items():
        joined = join([one.waveform for one in spoken], GAP_S, room_db=room_db)
        truth = timeline(spoken, joined)
        for decoding in service.decodings:
            heard = service.transcribe(joined.waveform, decoding).words
            wrong = faults(heard, len(joined.waveform) / SAMPLE_RATE_HZ)
            errors_ms = start_errors_ms(truth, heard)
            known = sum(not np.isnan(word.start_s) for word in truth)
            rows.append([gaps, decoding, *cells(errors_ms, known, len(wrong))])
    print_table(title, HEADER, rows)


def timeline(spoken: Sequence[Spoken], joined: Joined) -> list[TimedWord]:
    """All words of a joined recording."""
    return [
        TimedWord(word.word, start_s + word.start_s)
        for one, start_s in zip(spoken, joined.starts_s, strict=True)
        for word in one.words
    ]


def start_errors_ms(truth: Sequence[TimedWord], heard) -> np.ndarray:
    """How much later than the truth matched words begin; those without a truth are left out."""
    pairs = match([word.word for word in truth], [word.word for word in heard]).pairs
    errors_s = np.array([heard[at].start_s - truth[of].start_s for of, at in pairs])
    return 1000 * errors_s[~np.isnan(errors_s)]


def cells(errors_ms: np.ndarray, said: int, faulty: int) -> list[str]:
    sizes = np.abs(errors_ms).tolist()
    median, p95 = estimate(sizes), estimate(sizes, 0.95)
    holds = median.value <= MEDIAN_LIMIT_MS and p95.value <= P95_LIMIT_MS and not faulty
    later = f"{np.median(errors_ms):+.0f}"
    share = f"{len(sizes)} of {said}"
    return [share, f"{median:.0f}", f"{p95:.0f}", later, str(faulty), verdict(holds)]
