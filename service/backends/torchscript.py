"""TorchScript: for archives that the operator named; the only module that imports torch."""

import warnings
from pathlib import Path
from typing import Any

import torch

from service.arrays import FloatArray, IntArray
from service.backends.base import INPUTS, Device
from service.errors import InferenceFailed, InvalidBundle


class TorchScriptModel:
    """A TorchScript archive.

    Args:
        path: the archive; loading runs code that it holds.
        device: where it runs; CUDA is written from the documentation and not measured.
        threads: for one operator on CPU, in the whole process; None leaves it to torch.

    Raises:
        InvalidBundle: it is no archive, not an acoustic model, or cannot run on the device.
    """

    def __init__(self, path: Path, *, device: Device, threads: int | None) -> None:
        if threads is not None:
            torch.set_num_threads(threads)
        self._device = torch.device(device)
        self._module = _load(path, self._device)
        _check(path, self._module)

    def infer(self, waveforms: FloatArray, lengths: IntArray) -> tuple[FloatArray, IntArray]:
        """Run one batch; see `AcousticModel`."""
        arrays = (torch.from_numpy(array).to(self._device) for array in (waveforms, lengths))
        try:
            with torch.inference_mode():
                logits, frame_lengths = self._module(*arrays)
            return logits.float().cpu().numpy(), frame_lengths.long().cpu().numpy()
        except RuntimeError as error:
            raise InferenceFailed(f"TorchScript failed: {error}") from error


def cuda_is_offered() -> bool:
    """Whether torch sees a CUDA device."""
    return torch.cuda.is_available()


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
