"""The two codes of telephones, ITU-T G.711: a byte a sample, as tables of full scale 1."""

from typing import Any

import numpy as np
import numpy.typing as npt

from service.arrays import FloatArray

_CODES = np.arange(256)


def _mulaw() -> FloatArray:
    """Every bit is inverted; three bits of exponent, four of mantissa, of a value biased by 33."""
    inverted = _CODES ^ 0xFF
    exponent, mantissa = inverted >> 4 & 7, inverted & 15
    magnitude = ((2 * mantissa + 33) << exponent) - 33
    return _signed(magnitude, inverted >= 128) / np.float32(2**13)


def _alaw() -> FloatArray:
    """Every second bit is inverted; below the first exponent the steps stay as they are."""
    inverted = _CODES ^ 0x55
    exponent, mantissa = inverted >> 4 & 7, inverted & 15
    low = 2 * mantissa + 1
    magnitude = np.where(exponent == 0, low, (low + 32) << np.maximum(exponent - 1, 0))
    return _signed(magnitude, inverted < 128) / np.float32(2**12)


def _signed(magnitude: npt.NDArray[Any], is_negative: npt.NDArray[np.bool_]) -> FloatArray:
    return np.where(is_negative, -magnitude, magnitude).astype(np.float32)


MULAW, ALAW = _mulaw(), _alaw()
