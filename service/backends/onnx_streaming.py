"""A streaming graph in ONNX Runtime; imported only when one is loaded."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from service.arrays import FloatArray, IntArray
from service.backends.arena import Returns
from service.backends.base import INPUTS, OUTPUTS, ChunkOutput, Device, Tuning
from service.backends.failures import failure_of
from service.backends.onnx import RUNTIME_ERRORS, open_session
from service.backends.onnx_options import run_options
from service.errors import InvalidBundle
from service.streaming_form import Streaming

STATE_PREFIX, NEXT_STATE_PREFIX = "state_", "next_state_"


class OnnxStreamingModel:
    """Runs chunks; the states are the caller's to keep.

    Args:
        path: the graph; gzip, if its name ends in .gz.
        graph: what the manifest says of it.
        device: where it runs.
        threads: for one operator on CPU.
        tuning: how it uses the device.

    Raises:
        InvalidBundle: it is no graph, or has other inputs and outputs than the manifest says.
    """

    def __init__(
        self, path: Path, graph: Streaming, *, device: Device, threads: int, tuning: Tuning
    ) -> None:
        self._session = open_session(path, device=device, threads=threads, tuning=tuning)
        self._names = [state.name for state in graph.states]
        self._outputs = [*OUTPUTS, *(NEXT_STATE_PREFIX + name for name in self._names)]
        self._device = device
        self._returns = Returns(tuning.batch_samples)
        self._check(path)

    def infer(
        self, waveforms: FloatArray, lengths: IntArray, states: Mapping[str, npt.NDArray[Any]]
    ) -> ChunkOutput:
        """Run one chunk of each stream; see `StreamingModel`."""
        inputs: dict[str, npt.NDArray[Any]] = dict(zip(INPUTS, (waveforms, lengths), strict=True))
        inputs |= {STATE_PREFIX + name: states[name] for name in self._names}
        give_back = self._returns.are_due_after(waveforms.size)
        options = run_options(self._device, give_back=give_back)
        try:
            logits, frame_lengths, *following = self._session.run(self._outputs, inputs, options)
        except (*RUNTIME_ERRORS, MemoryError, RuntimeError) as error:
            raise failure_of(error, "ONNX Runtime") from error
        return ChunkOutput(
            logits.astype(np.float32, copy=False),
            frame_lengths.astype(np.int64, copy=False),
            dict(zip(self._names, following, strict=True)),
        )

    def _check(self, path: Path) -> None:
        inputs = {port.name for port in self._session.get_inputs()}
        outputs = {port.name for port in self._session.get_outputs()}
        expected = {*INPUTS, *(STATE_PREFIX + name for name in self._names)}
        if inputs != expected or not outputs >= set(self._outputs):
            raise InvalidBundle(
                f"{path} is not the streaming graph of its manifest: it takes {sorted(inputs)} "
                f"and gives {sorted(outputs)}, expected {sorted(expected)} and {self._outputs}",
                found=sorted(inputs | outputs),
                limit=sorted(expected | set(self._outputs)),
            )
