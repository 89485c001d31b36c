"""Short sounds that a model takes for letters, in music and noise; pure functions.

Music makes a model say a letter or two now and then, often more surely than it hears a quiet word.
But a word that somebody says is louder than what surrounds it; such a sound is a part of it. In 27
minutes of music those sounds were at most 5.7 dB above their surroundings; single words spoken in
noise at -50 dB of full scale were at least 13.8 dB above it.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from service.arrays import FloatArray
from service.bundle import Vocabulary
from service.ctc import PAUSE_S, blank_logits, pauses

LONGEST_S = 1.2  # of a lone sound; what is longer is taken for speech in noise
LEAST_CONTRAST_DB = 6.0
REACH_S = 4.0  # how far the surroundings go on either side
LEAST_AROUND_S = 0.5  # shorter surroundings tell nothing
SETTLED_S = 7.0  # behind a frame: no later one changes what is said there; a sum of the above
EDGE_S = 0.1  # a sound begins before its first label, and ends behind its last


class _Burst(NamedTuple):
    """Frames `[start, end)` from the first to the last label between two pauses."""

    start: int
    end: int


def without_lone_sounds(
    logits: FloatArray,
    waveform: FloatArray,
    vocabulary: Vocabulary,
    *,
    samples_per_frame: int,
    sample_rate_hz: int,
) -> FloatArray:
    """Logits that say nothing where a short sound is no louder than its surroundings.

    Args:
        logits: `[frames, columns]`, unnormalised; what lies behind the vocabulary stays as it is.
        waveform: `[samples]`, what they are of.
        vocabulary: what the columns mean.
        samples_per_frame: hop of the logits.
        sample_rate_hz: of the waveform.

    Returns:
        `[frames, columns]`; the same array where nothing is to be left out.
    """
    power = power_of_frames(waveform, len(logits), samples_per_frame)
    return without_weak_sounds(logits, power, vocabulary, samples_per_frame / sample_rate_hz)


def without_weak_sounds(
    logits: FloatArray, power: FloatArray, vocabulary: Vocabulary, frame_s: float
) -> FloatArray:
    """As `without_lone_sounds`, where only the mean power of each frame `[frames]` is left."""
    labels = len(vocabulary.tokens)
    bursts = _bursts(logits[:, :labels], vocabulary, frame_s)
    short = [one for one in bursts if (one.end - one.start) * frame_s <= LONGEST_S]
    if not short:
        return logits
    sound = _Sound(power, bursts, frame_s)
    lost = [one for one in short if sound.is_lost(one)]
    quieter = logits.copy()
    for burst in lost:
        around = _widened(burst, PAUSE_S / 2, frame_s)
        quieter[around, :labels] = blank_logits(1, 1, vocabulary)
    return quieter


def power_of_frames(waveform: FloatArray, frames: int, samples_per_frame: int) -> FloatArray:
    """Mean power of each frame `[frames]`; zero for what is not whole."""
    whole = min(frames, waveform.size // samples_per_frame)
    rows = waveform[: whole * samples_per_frame].reshape(whole, samples_per_frame)
    power: FloatArray = np.einsum("fs,fs->f", rows, rows) / samples_per_frame
    return np.pad(power, (0, frames - whole))


class _Sound:
    """How loud bursts and their surroundings are.

    Args:
        power: of each frame, `[frames]`.
        bursts: all that stand in it.
        frame_s: seconds from one frame to the next.
    """

    def __init__(self, power: FloatArray, bursts: Sequence[_Burst], frame_s: float) -> None:
        self._power = power
        self._frame_s = frame_s
        self._is_around = np.ones(len(power), dtype=bool)
        for burst in bursts:
            self._is_around[_widened(burst, PAUSE_S / 2, frame_s)] = False

    def is_lost(self, burst: _Burst) -> bool:
        """Whether it is no louder than what surrounds it."""
        reach = _widened(burst, REACH_S, self._frame_s)
        around = self._power[reach][self._is_around[reach]]
        if around.size * self._frame_s < LEAST_AROUND_S:
            return False
        burst_power = self._power[_widened(burst, EDGE_S, self._frame_s)].mean()
        return bool(burst_power < around.mean() * 10 ** (LEAST_CONTRAST_DB / 10))


def _widened(burst: _Burst, by_s: float, frame_s: float) -> slice:
    by_frames = round(by_s / frame_s)
    return slice(max(0, burst.start - by_frames), burst.end + by_frames)


def _bursts(logits: FloatArray, vocabulary: Vocabulary, frame_s: float) -> list[_Burst]:
    edges = [0, *(edge for pause in pauses(logits, vocabulary, frame_s) for edge in pause)]
    between = zip(edges[::2], [*edges[1::2], len(logits)], strict=True)
    return [_Burst(start, end) for start, end in between if start < end]
