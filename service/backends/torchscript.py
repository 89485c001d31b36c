"""TorchScript: for archives that the operator named; imported, like torch, only to load one.

float32 archives run as they are, with TF32 off: float32 means float32. Lower precision is asked
for, and is autocast's: products in float16 or bfloat16, norms and sums in float32. A traced archive
keeps no note of parts that were meant to stay out of it.
"""

import contextlib
import threading
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from service.arrays import FloatArray, IntArray
from service.backends.base import INPUTS, Device, Tuning
from service.backends.cuda_graphs import Forward, GraphedForward
from service.backends.failures import failure_of
from service.bundle import Precision
from service.errors import InvalidBundle

AUTOCAST: dict[Precision, torch.dtype] = {"float16": torch.float16, "bfloat16": torch.bfloat16}


class TorchScriptModel:
    """A TorchScript archive.

    Args:
        path: the archive; loading runs code that it holds.
        device: where it runs; CUDA is written from the documentation and not measured.
        threads: for one operator on CPU, in the whole process; None leaves it to torch.
        tuning: how it uses the device.
        buckets: lengths in samples for which CUDA graphs are recorded, ascending.

    Raises:
        InvalidBundle: it is no archive, not an acoustic model, or cannot run on the device.
    """

    def __init__(
        self,
        path: Path,
        *,
        device: Device,
        threads: int | None,
        tuning: Tuning = Tuning(),  # noqa: B008  frozen
        buckets: Sequence[int] = (),
    ) -> None:
        if threads is not None:
            torch.set_num_threads(threads)
        if device == "cuda":
            _prepare_cuda()
        self._device = torch.device(device)
        self._batch_samples = tuning.batch_samples
        self._autocast = AUTOCAST.get(tuning.precision) if tuning.precision != "auto" else None
        module = _load(path, self._device)
        _check(path, module)
        self._forward: Forward = module
        # A graph's result lies in one place, which must be read before the next batch starts.
        self._lock: contextlib.AbstractContextManager[object] = contextlib.nullcontext()
        if device == "cuda" and tuning.cuda_graphs:
            self._forward = GraphedForward(module, buckets, tuning.batch_size)
            self._lock = threading.Lock()

    def infer(self, waveforms: FloatArray, lengths: IntArray) -> tuple[FloatArray, IntArray]:
        """Run one batch; see `AcousticModel`."""
        try:
            with self._lock, torch.inference_mode(), self._precision():
                arrays = (torch.from_numpy(one).to(self._device) for one in (waveforms, lengths))
                logits, frame_lengths = self._forward(*arrays)
                answer = logits.float().cpu().numpy(), frame_lengths.long().cpu().numpy()
        except (RuntimeError, MemoryError) as error:
            raise failure_of(error, "TorchScript") from error
        if self._device.type == "cuda" and waveforms.size > self._batch_samples:
            del logits, frame_lengths
            torch.cuda.empty_cache()  # or torch keeps what the longest input took
        return answer

    def _precision(self) -> contextlib.AbstractContextManager[object]:
        if self._autocast is None:
            return contextlib.nullcontext()
        # A run uses each weight once: cached casts save nothing, and a graph must not hold one.
        return torch.autocast(self._device.type, self._autocast, cache_enabled=False)


def cuda_is_offered() -> bool:
    """Whether torch sees a CUDA device."""
    return torch.cuda.is_available()


def _prepare_cuda() -> None:
    if not torch.cuda.is_available():
        raise InvalidBundle("this torch cannot run models on cuda: it sees no device")
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = False  # would try every algorithm for each new length


def _load(path: Path, device: torch.device) -> Any:  # noqa: ANN401
    try:
        with warnings.catch_warnings():
            # Deprecated for writing models, but the one way to read this optional format.
            warnings.simplefilter("ignore", DeprecationWarning)
            return torch.jit.load(path, map_location=device).eval()
    except RuntimeError as error:
        raise InvalidBundle(f"{path} cannot be loaded by torch: {error}") from error


def _check(path: Path, module: Any) -> None:  # noqa: ANN401
    schema = module.forward.schema
    found = [argument.name for argument in schema.arguments[1:]]
    found += [str(result.type) for result in schema.returns]
    expected = [*INPUTS, "Tuple[Tensor, Tensor]"]
    if found != expected:
        raise InvalidBundle(
            f"{path} is not an acoustic model: it has {found}, expected {expected}",
            found=found,
            limit=expected,
        )
