"""ONNX Runtime: the primary backend; imported only when a model is loaded."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from service.arrays import FloatArray, IntArray
from service.backends.base import INPUTS, OUTPUTS, Device
from service.errors import InferenceFailed, InvalidBundle

_RUNTIME_ERRORS = (
    ort_errors.EPFail,
    ort_errors.EngineError,
    ort_errors.Fail,
    ort_errors.InvalidArgument,
    ort_errors.InvalidGraph,
    ort_errors.InvalidProtobuf,
    ort_errors.ModelRequiresCompilation,
    ort_errors.NoModel,
    ort_errors.NoSuchFile,
    ort_errors.NotImplemented,
    ort_errors.RuntimeException,
)
_PROVIDERS = {"cpu": ["CPUExecutionProvider"], "cuda": ["CUDAExecutionProvider"]}


class OnnxModel:
    """An ONNX graph in an inference session.

    Args:
        path: the graph.
        device: where it runs; CUDA is written from the documentation and not measured.
        threads: for one operator on CPU; None leaves it to the runtime.
        vocabulary_size: what the last axis of the logits must be.

    Raises:
        InvalidBundle: it is no graph, not an acoustic model, or cannot run on the device.
    """

    def __init__(
        self, path: Path, *, device: Device, threads: int | None, vocabulary_size: int
    ) -> None:
        if _PROVIDERS[device][0] not in onnxruntime.get_available_providers():
            raise InvalidBundle(f"this ONNX Runtime cannot run {path.name} on {device}")
        try:
            self._session = onnxruntime.InferenceSession(
                path, _options(threads), providers=_PROVIDERS[device]
            )
        except _RUNTIME_ERRORS as error:
            raise InvalidBundle(f"{path} cannot be loaded by ONNX Runtime: {error}") from error
        if _PROVIDERS[device][0] not in self._session.get_providers():
            raise InvalidBundle(f"{device} is offered but does not start; choose the device cpu")
        _check(path, self._session, vocabulary_size)

    def infer(self, waveforms: FloatArray, lengths: IntArray) -> tuple[FloatArray, IntArray]:
        """Run one batch; see `AcousticModel`."""
        try:
            logits, frame_lengths = self._session.run(
                OUTPUTS, dict(zip(INPUTS, (waveforms, lengths), strict=True))
            )
        except _RUNTIME_ERRORS as error:
            raise InferenceFailed(f"ONNX Runtime failed: {error}") from error
        return logits.astype(np.float32, copy=False), frame_lengths.astype(np.int64, copy=False)


def cuda_is_offered() -> bool:
    """Whether the installed package can use CUDA at all."""
    return "CUDAExecutionProvider" in onnxruntime.get_available_providers()


def _options(threads: int | None) -> Any:  # noqa: ANN401
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or 0
    options.enable_mem_pattern = False  # patterns are kept per shape, and lengths never repeat
    options.log_severity_level = 3
    return options


def _check(path: Path, session: Any, vocabulary_size: int) -> None:  # noqa: ANN401
    found = _signature([*session.get_inputs(), *session.get_outputs()])
    expected = {
        "waveforms": ("tensor(float)", 2),
        "lengths": ("tensor(int64)", 1),
        "logits": ("tensor(float)", 3),
        "frame_lengths": ("tensor(int64)", 1),
    }
    if found != expected:
        raise InvalidBundle(
            f"{path} is not an acoustic model: it has {found}, expected {expected}",
            found=found,
            limit=expected,
        )
    sizes = [size for port in session.get_inputs() for size in port.shape]
    if fixed := [size for size in sizes if isinstance(size, int)]:
        raise InvalidBundle(f"{path} takes one fixed size only: {fixed}", found=fixed)
    vocabulary = session.get_outputs()[0].shape[-1]
    if isinstance(vocabulary, int) and vocabulary != vocabulary_size:
        raise InvalidBundle(
            f"{path} has {vocabulary} labels, the manifest {vocabulary_size}",
            found=vocabulary,
            limit=vocabulary_size,
        )


def _signature(ports: Sequence[Any]) -> dict[str, tuple[str, int]]:
    return {port.name: (port.type, len(port.shape)) for port in ports}
