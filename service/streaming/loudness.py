"""How loud a stream is, against silence and against its own background; pure.

What is quieter than `SILENT_RMS` is silence. In a room with noise that is never reached, so a block
must also be louder than the quietest moment of the last `REACH_S` by `LEAST_CONTRAST_DB`, the
difference that a single word has to have, too, to be believed (`service.lone_sounds`). Steady
noise, hum and tones are therefore silence after `REACH_S`, and speech is not: nobody speaks for so
long without the closure of a consonant.
"""

from collections import deque

import numpy as np

from service.arrays import FloatArray
from service.audio import SAMPLE_RATE_HZ, SILENT_RMS
from service.lone_sounds import LEAST_CONTRAST_DB

BLOCK_SAMPLES = SAMPLE_RATE_HZ // 25
BLOCK_S = BLOCK_SAMPLES / SAMPLE_RATE_HZ
SPAN_BLOCKS = 3  # loudness is that of 0.12 s: the closure of a consonant is no silence
REACH_S = 10
LEAST_S = 2  # of background that is worth comparing with
CONTRAST = 10 ** (LEAST_CONTRAST_DB / 10)


class Loudness:
    """Compares each block of a stream with what came before."""

    def __init__(self) -> None:
        self._span: deque[float] = deque(maxlen=SPAN_BLOCKS)
        self._power = 0.0
        self._quietest: deque[float] = deque(maxlen=REACH_S)  # of each whole second
        self._second: list[float] = []

    def add(self, block: FloatArray) -> None:
        """Hear the next block `[samples]`."""
        self._span.append(float(np.dot(block, block)) / max(1, block.size))
        self._power = sum(self._span) / len(self._span)
        self._second.append(self._power)
        if len(self._second) * BLOCK_S >= 1:
            self._quietest.append(min(self._second))
            self._second.clear()

    @property
    def is_silent(self) -> bool:
        """Whether nobody can be speaking: silence, or the background of the whole last while."""
        is_known = len(self._quietest) == REACH_S
        return self._power < max(SILENT_RMS**2, CONTRAST * self._floor if is_known else 0.0)

    @property
    def is_loud(self) -> bool:
        """Whether it is louder than the background, as far as that is known."""
        is_known = len(self._quietest) >= LEAST_S
        return self._power >= max(SILENT_RMS**2, CONTRAST * self._floor if is_known else 0.0)

    @property
    def _floor(self) -> float:
        return min([*self._quietest, *self._second], default=0.0)
