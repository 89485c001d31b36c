"""`wsm-serve run` with a model that fails where a letter says so, and little patience.

q raises    x gives NaN    z wants more memory than there is    j hangs
"""

import sys
import threading

import numpy as np
from tiny_bundle import TOKENS

from service import cli, http_protocol
from service.arrays import FloatArray, IntArray
from service.backends.onnx import OnnxModel

_sound = OnnxModel.infer


def _faulty(
    self: OnnxModel, waveforms: FloatArray, lengths: IntArray
) -> tuple[FloatArray, IntArray]:
    logits, frame_lengths = _sound(self, waveforms, lengths)
    heard = {TOKENS[token] for token in logits.argmax(axis=-1).ravel().tolist()}
    if "q" in heard:
        raise RuntimeError("planned failure")
    if "z" in heard:
        raise MemoryError
    if "j" in heard:
        threading.Event().wait()
    return np.where("x" in heard, np.nan, logits).astype(np.float32), frame_lengths


if __name__ == "__main__":
    http_protocol.HEAD_S = 1.0
    OnnxModel.infer = _faulty  # type: ignore[method-assign]
    sys.exit(cli.main(["run"]))
