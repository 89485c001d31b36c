"""ONNX Runtime: the primary backend; imported only when a model is loaded.

One session serves several threads at once: each `run` has its own state, and they share the
weights. So N inferences at once are N calls, not N sessions.
"""

import gzip
import shutil
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from service.arrays import FloatArray, IntArray
from service.backends.arena import Returns
from service.backends.base import INPUTS, OUTPUTS, Device, Tuning
from service.backends.failures import failure_of
from service.backends.onnx_options import providers, run_options, session_options
from service.errors import InvalidBundle

RUNTIME_ERRORS = (
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


class OnnxModel:
    """An ONNX graph in an inference session.

    Args:
        path: the graph; gzip, if its name ends in .gz.
        device: where it runs; CUDA is written from the documentation and not measured.
        threads: for one operator on CPU.
        vocabulary_size: what the last axis of the logits must be.
        tuning: how it uses the device.

    Raises:
        InvalidBundle: it is no graph, not an acoustic model, or cannot run on the device.
    """

    def __init__(
        self,
        path: Path,
        *,
        device: Device,
        threads: int,
        vocabulary_size: int,
        tuning: Tuning = Tuning(),  # noqa: B008  frozen
    ) -> None:
        self._session = open_session(path, device=device, threads=threads, tuning=tuning)
        _check(path, self._session, vocabulary_size)
        self._device = device
        self._returns = Returns(tuning.batch_samples)

    def infer(self, waveforms: FloatArray, lengths: IntArray) -> tuple[FloatArray, IntArray]:
        """Run one batch; see `AcousticModel`."""
        give_back = self._returns.are_due_after(waveforms.size)
        # A binding would hold its inputs in the arena until after the arena has shrunk.
        run = self._run if self._device == "cpu" or give_back else self._run_bound
        options = run_options(self._device, give_back=give_back)
        inputs = dict(zip(INPUTS, (waveforms, lengths), strict=True))
        try:
            logits, frame_lengths = run(inputs, options)
        # ONNX Runtime's own, and what its Python layer makes of C++ exceptions.
        except (*RUNTIME_ERRORS, MemoryError, RuntimeError) as error:
            raise failure_of(error, "ONNX Runtime") from error
        return logits.astype(np.float32, copy=False), frame_lengths.astype(np.int64, copy=False)

    def _run(self, inputs: dict[str, Any], options: Any) -> Any:  # noqa: ANN401
        return self._session.run(OUTPUTS, inputs, options)

    def _run_bound(self, inputs: dict[str, Any], options: Any) -> Any:  # noqa: ANN401
        """Copy each input once, to where the graph reads it, and each output once, to the host."""
        binding = self._session.io_binding()
        for name, array in inputs.items():
            binding.bind_cpu_input(name, np.ascontiguousarray(array))
        for name in OUTPUTS:
            binding.bind_output(name, "cpu")
        self._session.run_with_iobinding(binding, options)
        return binding.copy_outputs_to_cpu()


def open_session(
    path: Path,
    *,
    device: Device,
    threads: int,
    tuning: Tuning = Tuning(),  # noqa: B008  frozen
) -> Any:  # noqa: ANN401
    """An inference session of a graph.

    Raises:
        InvalidBundle: it is no graph, or cannot run on the device.
    """
    chosen = providers(device, tuning)
    try:
        with _plain(path) as graph:
            session = onnxruntime.InferenceSession(
                graph, session_options(threads, device), providers=chosen
            )
    except RUNTIME_ERRORS as error:
        raise InvalidBundle(f"{path} cannot be loaded by ONNX Runtime: {error}") from error
    # Where a provider cannot start, ONNX Runtime goes on without it.
    if absent := {name for name, _ in chosen} - set(session.get_providers()):
        raise InvalidBundle(
            f"{', '.join(sorted(absent))} is offered but does not start; choose the device cpu"
        )
    return session


def cuda_is_offered() -> bool:
    """Whether the installed package can use CUDA at all."""
    return "CUDAExecutionProvider" in onnxruntime.get_available_providers()


@contextmanager
def _plain(path: Path) -> Iterator[Path]:
    """A graph's file, unpacked meanwhile: a session would keep bytes that it is given."""
    if path.suffix != ".gz":
        yield path
        return
    with tempfile.NamedTemporaryFile(suffix=".onnx") as unpacked:
        try:
            with gzip.open(path) as packed:
                shutil.copyfileobj(packed, unpacked)
            unpacked.flush()
        except (OSError, EOFError, zlib.error) as error:
            raise InvalidBundle(f"{path} cannot be unpacked: {error}") from error
        yield Path(unpacked.name)


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
