"""A bundle's self-test: what its model has to hear in a short recording."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from service.arrays import FloatArray
from service.errors import InvalidBundle


@dataclass(frozen=True)
class Golden:
    """A waveform `[samples]` and its logits `[frames, vocab]`."""

    waveform: FloatArray
    logits: FloatArray


def read_golden(path: Path, precision: str, labels: int) -> Golden:
    """Read a golden file.

    Args:
        path: of the file.
        precision: of the variant that is tested; int8, which rounds by more, has its own logits.
        labels: of the vocabulary.

    Raises:
        InvalidBundle: the file is not a golden file of this vocabulary.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            own = f"logits.{precision}"
            waveform = arrays["waveform"].astype(np.float32)
            logits = arrays[own if own in arrays else "logits"].astype(np.float32)
    except Exception as error:  # numpy and zipfile have no one error for what is no archive
        raise InvalidBundle(f"{path} cannot be read: {error}") from error
    if waveform.ndim != 1 or logits.ndim != 2 or logits.shape[1] != labels:
        raise InvalidBundle(
            f"{path} holds waveform {waveform.shape} and logits {logits.shape}; "
            f"expected [samples] and [frames, {labels}]"
        )
    return Golden(waveform, logits)
