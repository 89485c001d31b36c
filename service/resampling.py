"""Blocks of samples at any rate to mono at 16 kHz, as they come."""

import numpy as np
import soxr

from service.arrays import FloatArray
from service.audio import MAX_AMPLITUDE, SAMPLE_RATE_HZ, AudioLimits, check_format
from service.errors import UnsupportedAudio

_NOTHING = np.empty(0, np.float32)


class Resampler:
    """Blocks of any channels to mono at 16 kHz; the rate may change between them.

    Args:
        limits: what to refuse.
    """

    def __init__(self, limits: AudioLimits) -> None:
        self._limits = limits
        self._rate_hz = SAMPLE_RATE_HZ
        self._stream: soxr.ResampleStream | None = None

    def add(self, rate_hz: int, block: FloatArray) -> FloatArray:
        """Samples `[samples]` that a block `[channels, samples]` completes.

        Raises:
            UnsupportedAudio: the format is outside the limits, or the samples are no audio.
        """
        check_format(rate_hz, len(block), self._limits)
        peak = float(np.abs(block).max(initial=0.0))
        if not peak <= MAX_AMPLITUDE:  # NaN included
            raise UnsupportedAudio(
                f"samples reach {peak:g}; full scale is 1", found=str(peak), limit=MAX_AMPLITUDE
            )
        before = self._change_to(rate_hz)
        mono = block[0] if len(block) == 1 else block.mean(axis=0, dtype=np.float32)
        if self._stream is not None:
            mono = self._stream.resample_chunk(np.ascontiguousarray(mono))
        return np.concatenate([before, mono]) if before.size else mono

    def end(self) -> FloatArray:
        """The samples `[samples]` that the filter still holds."""
        if self._stream is None:
            return _NOTHING
        rest: FloatArray = self._stream.resample_chunk(_NOTHING, last=True)
        self._stream = None
        return rest

    def _change_to(self, rate_hz: int) -> FloatArray:
        if rate_hz == self._rate_hz:
            return _NOTHING
        rest, self._rate_hz = self.end(), rate_hz
        if rate_hz != SAMPLE_RATE_HZ:
            self._stream = soxr.ResampleStream(rate_hz, SAMPLE_RATE_HZ, 1, dtype="float32")
        return rest
