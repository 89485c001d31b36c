"""A graph of one chunk behind the interface of one of whole utterances, to measure it."""

import gzip
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from service.arrays import FloatArray, IntArray
from service.backends.streaming import first_states, row_samples
from service.streaming_form import Streaming

Arrays = tuple[Any, ...]
Step = Callable[..., Sequence[Any]]
"""(waveforms, lengths, state, ...) to (logits, frame lengths, next state, ...), as numpy arrays."""


class ChunkedModel:
    """Feeds waveforms through a graph of one chunk; an `AcousticModel`.

    Args:
        step: the graph.
        form: what it takes.
        samples_per_frame: hop of the logits.
    """

    def __init__(self, step: Step, form: Streaming, samples_per_frame: int) -> None:
        self._step = step
        self._form = form
        self._samples_per_frame = samples_per_frame

    def infer(self, waveforms: FloatArray, lengths: IntArray) -> tuple[FloatArray, IntArray]:
        """Run one batch; see `AcousticModel`."""
        pieces, counts = [], np.zeros(len(lengths), dtype=np.int64)
        for logits, frame_lengths in self.outputs(waveforms, lengths):
            pieces.append(logits)
            counts += frame_lengths
        return np.concatenate(pieces, axis=1)[:, : counts.max()], counts

    def outputs(
        self, waveforms: FloatArray, lengths: IntArray
    ) -> Iterator[tuple[FloatArray, IntArray]]:
        """Logits `[batch, chunk_frames, vocab]` and frame lengths `[batch]` of chunk by chunk."""
        state: Arrays = initial_state(self._form, len(lengths))
        for rows, valid in chunks(waveforms, lengths, self._form, self._samples_per_frame):
            logits, frame_lengths, *state_now = self._step(rows, valid, *state)
            state = tuple(state_now)
            yield logits, frame_lengths


def chunks(
    waveforms: FloatArray, lengths: IntArray, form: Streaming, samples_per_frame: int
) -> Iterator[tuple[FloatArray, IntArray]]:
    """Cut utterances into rows with their left context and lookahead, and valid samples of each.

    Args:
        waveforms: `[batch, samples]`; what lies past `lengths` is ignored.
        lengths: `[batch]`, valid samples.
        form: of the rows.
        samples_per_frame: hop of the logits.
    """
    hop = form.chunk_frames * samples_per_frame
    row = row_samples(form, samples_per_frame)
    heard = np.where(np.arange(waveforms.shape[1]) < lengths[:, None], waveforms, 0.0)
    padded = np.pad(heard, ((0, 0), (form.left_context_samples, row))).astype(np.float32)
    for start in range(0, int(lengths.max()), hop):
        valid = np.clip(lengths + form.left_context_samples - start, 0, row)
        yield np.ascontiguousarray(padded[:, start : start + row]), valid


def initial_state(form: Streaming, batch: int) -> Arrays:
    """Zeros: state of streams that have heard nothing."""
    return tuple(first_states(form, batch).values())


def open_graph(path: Path, form: Streaming) -> Step:
    """Open an ONNX graph of one chunk; gzip, if its name ends in .gz."""
    content = path.read_bytes()
    session = onnxruntime.InferenceSession(
        gzip.decompress(content) if path.suffix == ".gz" else content,
        providers=["CPUExecutionProvider"],
    )
    inputs = ["waveforms", "lengths", *(f"state_{state.name}" for state in form.states)]
    outputs = ["logits", "frame_lengths", *(f"next_state_{state.name}" for state in form.states)]

    def step(*arrays: Any) -> Sequence[Any]:
        found: Sequence[Any] = session.run(outputs, dict(zip(inputs, arrays, strict=True)))
        return found

    return step
