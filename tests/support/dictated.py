"""An attention decoder that writes what its frames hold, character by character."""

import numpy as np

from service.arrays import FloatArray, IntArray
from service.attention_decoding.writer import Writer
from service.backends.attention import AttentionMemory, AttentionPast

CHARACTERS = " abdehst"
TOKENS = [*CHARACTERS, "é".encode().decode("latin-1"), "", ""]
END_ID = len(TOKENS) - 1


def holding(text: str, frames: int) -> FloatArray:
    """Frames `[frames, 1]` that make `Dictated` write a text."""
    ids = [len(CHARACTERS) if one == "é" else CHARACTERS.index(one) for one in text]
    held = np.full((frames, 1), END_ID, np.float32)
    held[: len(ids), 0] = ids[:frames]
    return held


class Dictated:
    """An `AttentionModel`; it counts what it was asked for.

    Attributes:
        steps: how many tokens it gave.
    """

    def __init__(self) -> None:
        self.steps = 0

    def remember(self, frames: FloatArray, lengths: IntArray) -> AttentionMemory:
        return AttentionMemory(frames[np.newaxis], frames[np.newaxis], lengths)

    def step(
        self, tokens: IntArray, memory: AttentionMemory, past: AttentionPast | None
    ) -> tuple[FloatArray, AttentionPast]:
        self.steps += 1
        before = 0 if past is None else past.keys.shape[2]
        logits = np.zeros((1, 1, len(TOKENS)), np.float32)
        held = memory.keys[0, 0, :, 0]
        logits[0, 0, int(held[before]) if before < len(held) else END_ID] = 1.0
        longer = np.zeros((1, 1, before + 1, 1), np.float32)
        return logits, AttentionPast(longer, longer)


def dictated_writer(longest_tokens: int = 50) -> Writer:
    """A writer of what frames hold."""
    return Writer(Dictated(), TOKENS, longest_tokens)
