"""Quiet speech loses no words: the same clips 20 dB lower, and with a little noise."""

from collections.abc import Callable

import numpy as np
import pytest

from service.arrays import FloatArray
from tests.benchmarks.sounds import noise
from tests.benchmarks.spoken import SpokenSet, sets
from tests.benchmarks.tables import print_table, verdict
from tests.benchmarks.words import Matched, match

QUIETER_DB = -20.0
NOISE_DB = -25.0  # below the speech
MOST_POINTS = 1.0
Change = Callable[[FloatArray], FloatArray]


def quieter(waveform: FloatArray) -> FloatArray:
    return waveform * np.float32(10 ** (QUIETER_DB / 20))


def with_noise(waveform: FloatArray) -> FloatArray:
    level_db = 10 * np.log10(np.mean(np.square(waveform))) + NOISE_DB
    return waveform + noise("pink", waveform.size, level_db, seed=waveform.size)


CHANGES: dict[str, Change] = {
    "as it is": lambda waveform: waveform,
    f"{QUIETER_DB:g} dB": quieter,
    f"noise {NOISE_DB:g} dB below it": with_noise,
    f"{QUIETER_DB:g} dB, noise {NOISE_DB:g} dB below it": lambda one: with_noise(quieter(one)),
}


@pytest.mark.bench
def test_deletions_of_quiet_speech(service) -> None:
    for chosen in sets():
        rows = []
        for decoding in service.decodings:
            found = {name: errors(service, chosen, decoding, c) for name, c in CHANGES.items()}
            first = next(iter(found.values()))
            rows += [[decoding, name, *cells(one, first)] for name, one in found.items()]
        header = ["decoding", "clips", "WER %", "deleted, %", "more"]
        print_table(
            f"Quiet speech, {chosen.name}", [*header, f"at most {MOST_POINTS:g} more"], rows
        )


def errors(service, chosen: SpokenSet, decoding, change: Change) -> Matched:
    heard = service.transcribe_all([change(clip.waveform) for clip in chosen.clips], decoding)
    found = [
        match(clip.words, [word.word for word in transcript.words])
        for clip, transcript in zip(chosen.clips, heard, strict=True)
    ]
    return Matched((), *(sum(column) for column in list(zip(*found, strict=True))[1:]))


def cells(found: Matched, first: Matched) -> list[str]:
    deleted = 100 * found.deletions / found.said
    more = deleted - 100 * first.deletions / first.said
    wer = 100 * found.errors / found.said
    return [f"{wer:.1f}", f"{deleted:.2f}", f"{more:+.2f}", verdict(more <= MOST_POINTS)]
