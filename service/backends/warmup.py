"""First runs of a model, before anyone waits for them.

What they buy differs. ONNX Runtime on CPU: next to nothing, the longest input so far costs a sixth
more once, and the self-test has touched the weights. TorchScript: its executor profiles the first
run and compiles in the second, whatever their lengths. CUDA: libraries load, and cuDNN's heuristic
is asked once for each new shape; so every length bucket is run, alone and in its largest batch,
which also shows whether the largest batches fit (not measured).
"""

import logging
from collections.abc import Iterator

import numpy as np

from service.backends.base import AcousticModel, Device
from service.bundle import Manifest, Runtime
from service.errors import OutOfMemory

BUCKETS_S = (1, 2, 5, 10, 20, 30)
COMPILING_RUNS = 2

logger = logging.getLogger(__name__)


def length_buckets(manifest: Manifest, longest_samples: int) -> tuple[int, ...]:
    """Lengths in samples that stand for all up to the longest: common ones, then doubling."""
    rate_hz, single_pass_s = manifest.sample_rate_hz, manifest.longest_single_pass_s
    longest = longest_samples
    if single_pass_s is not None:
        longest = min(longest, int(single_pass_s * rate_hz))
    longest = max(longest, manifest.receptive_field_samples)
    lengths = [seconds * rate_hz for seconds in BUCKETS_S]
    while lengths[-1] < longest:
        lengths.append(2 * lengths[-1])
    shortest = manifest.receptive_field_samples
    return (*(length for length in lengths if shortest <= length < longest), longest)


def warmup_shapes(
    device: Device, runtime: Runtime, buckets: tuple[int, ...], batch_samples: int, batch_size: int
) -> Iterator[tuple[int, int]]:
    """Rows and samples of each first run."""
    if device == "cuda":
        for samples in buckets:
            rows = max(1, min(batch_size, batch_samples // samples))
            yield from dict.fromkeys([(1, samples), (rows, samples)])
    elif runtime == "torchscript":
        yield from [(1, buckets[0])] * COMPILING_RUNS


def warm_up(model: AcousticModel, shapes: Iterator[tuple[int, int]]) -> None:
    """Run silence of each shape; what does not fit is told and left to smaller batches.

    Raises:
        InferenceFailed: the model fails for another reason than memory.
    """
    for rows, samples in shapes:
        silence = np.zeros((rows, samples), np.float32)
        try:
            model.infer(silence, np.full(rows, samples, np.int64))
        except OutOfMemory as error:
            logger.warning("a batch of %d x %d samples does not fit: %s", rows, samples, error)
            return
