"""What travels between modules: names for types of arrays, and the rate of the audio in them."""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

FloatArray: TypeAlias = npt.NDArray[np.float32]
IntArray: TypeAlias = npt.NDArray[np.int64]

SAMPLE_RATE_HZ = 16_000
