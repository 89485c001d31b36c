"""The two graphs of an attention decoder in ONNX Runtime, on CPU."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from service.arrays import FloatArray, IntArray
from service.attention_form import (
    MEMORY_INPUTS,
    MEMORY_OUTPUTS,
    STEP_INPUTS,
    STEP_OUTPUTS,
    AttentionDecoder,
)
from service.bundle import Bundle
from service.errors import InvalidBundle

if TYPE_CHECKING:
    from onnxruntime import InferenceSession


@dataclass(frozen=True)
class AttentionMemory:
    """What tokens attend to.

    Attributes:
        keys: `[layers, batch, frames, width]`.
        values: `[layers, batch, frames, width]`.
        lengths: `[batch]`, valid frames.
    """

    keys: FloatArray
    values: FloatArray
    lengths: IntArray


@dataclass(frozen=True)
class AttentionPast:
    """Keys and values `[layers, batch, tokens, width]` of the tokens so far."""

    keys: FloatArray
    values: FloatArray


class AttentionModel(Protocol):
    """A loaded attention decoder; its methods may be called from several threads."""

    def remember(self, frames: FloatArray, lengths: IntArray) -> AttentionMemory:
        """Prepare frames `[batch, frames, width]`, of which `lengths` `[batch]` are valid."""
        ...

    def step(
        self, tokens: IntArray, memory: AttentionMemory, past: AttentionPast | None
    ) -> tuple[FloatArray, AttentionPast]:
        """Logits `[batch, tokens, vocabulary]` behind each of `tokens` `[batch, tokens]`."""
        ...


class OnnxAttention:
    """Two sessions; see `AttentionModel`.

    Args:
        memory: session of the graph of what tokens attend to.
        step: session of the graph of the next token.
        form: of both.
    """

    def __init__(
        self, memory: "InferenceSession", step: "InferenceSession", form: AttentionDecoder
    ) -> None:
        self._memory = memory
        self._step = step
        self._form = form

    def remember(self, frames: FloatArray, lengths: IntArray) -> AttentionMemory:
        """See `AttentionModel`."""
        inputs = dict(zip(MEMORY_INPUTS, (np.ascontiguousarray(frames), lengths), strict=True))
        keys, values = self._memory.run(MEMORY_OUTPUTS, inputs)
        return AttentionMemory(keys, values, lengths)

    def step(
        self, tokens: IntArray, memory: AttentionMemory, past: AttentionPast | None
    ) -> tuple[FloatArray, AttentionPast]:
        """See `AttentionModel`."""
        past = past or self._nothing_before(len(tokens))
        given = (tokens, memory.keys, memory.values, memory.lengths, past.keys, past.values)
        inputs = dict(zip(STEP_INPUTS, given, strict=True))
        logits, keys, values = self._step.run(STEP_OUTPUTS, inputs)
        return logits, AttentionPast(keys, values)

    def _nothing_before(self, rows: int) -> AttentionPast:
        empty = np.zeros((self._form.layers, rows, 0, self._form.width), np.float32)
        return AttentionPast(empty, empty)


def open_attention(bundle: Bundle, form: AttentionDecoder) -> OnnxAttention:
    """Load the two graphs of a bundle.

    Raises:
        InvalidBundle: one is no graph, or another.
    """
    from service.backends.onnx import open_session

    memory = open_session(bundle.path_of(form.memory_file), device="cpu", threads=1)
    step = open_session(bundle.path_of(form.step_file), device="cpu", threads=1)
    _check(form.memory_file, memory, (MEMORY_INPUTS, MEMORY_OUTPUTS))
    _check(form.step_file, step, (STEP_INPUTS, STEP_OUTPUTS))
    return OnnxAttention(memory, step, form)


def _check(file: str, session: Any, ports: tuple[tuple[str, ...], ...]) -> None:  # noqa: ANN401
    found = tuple(
        tuple(port.name for port in group)
        for group in (session.get_inputs(), session.get_outputs())
    )
    if found != ports:
        raise InvalidBundle(
            f"{file} is no part of an attention decoder: it has {found}, expected {ports}",
            found=found,
            limit=ports,
        )
