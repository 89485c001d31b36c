"""Clips joined to longer recordings, with gaps of known length."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from service.arrays import FloatArray
from service.audio import SAMPLE_RATE_HZ
from tests.benchmarks.sounds import noise

ROOM_DB = -60.0  # of full scale: a quiet room
ONSET_DB = -30.0  # below the loudest 10 ms
ONSET_SAMPLES = SAMPLE_RATE_HZ // 100


@dataclass(frozen=True)
class Joined:
    """A recording of several clips.

    Attributes:
        waveform: `[samples]`.
        starts_s: when each clip begins.
    """

    waveform: FloatArray
    starts_s: tuple[float, ...]


def join(
    waveforms: Sequence[FloatArray],
    gap_s: tuple[float, float],
    *,
    room_db: float | None = None,
    seed: int = 0,
) -> Joined:
    """Join clips, with a gap before each and after the last.

    Args:
        waveforms: each `[samples]`.
        gap_s: shortest and longest; each gap is drawn.
        room_db: level of noise under everything; None leaves gaps digitally silent.
        seed: of the gaps and the noise.
    """
    draw = random.Random(seed)
    parts: list[FloatArray] = []
    starts, samples = [], 0
    for waveform in [*waveforms, np.empty(0, np.float32)]:
        gap = np.zeros(int(draw.uniform(*gap_s) * SAMPLE_RATE_HZ), np.float32)
        starts.append((samples + gap.size) / SAMPLE_RATE_HZ)
        samples += gap.size + waveform.size
        parts += [gap, waveform]
    joined = np.concatenate(parts)
    if room_db is not None:
        joined += noise("pink", joined.size, room_db, seed)
    return Joined(joined, tuple(starts[:-1]))


def onset_s(waveform: FloatArray) -> float:
    """When the sound of a clean clip begins, by energy; soft first sounds are found late."""
    whole = waveform[: waveform.size // ONSET_SAMPLES * ONSET_SAMPLES].reshape(-1, ONSET_SAMPLES)
    power = np.square(whole).mean(axis=1)
    first = int(np.argmax(power > power.max() * 10 ** (ONSET_DB / 10)))
    return first * ONSET_SAMPLES / SAMPLE_RATE_HZ
