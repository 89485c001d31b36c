"""Frames to text, the likeliest token behind the other."""

from collections.abc import Sequence

import numpy as np

from service.arrays import FloatArray
from service.backends.attention import AttentionModel


class Writer:
    """Writes what an attention decoder hears; all threads may use one object.

    Args:
        model: gives the next token's logits.
        tokens: the bytes that each writes, as characters U+0000 to U+00FF; the last two, start and
            end of a text, write nothing.
        longest_tokens: of a text.
    """

    def __init__(self, model: AttentionModel, tokens: Sequence[str], longest_tokens: int) -> None:
        self._model = model
        self._tokens = tokens
        self._start_id, self._end_id = len(tokens) - 2, len(tokens) - 1
        self._longest_tokens = longest_tokens

    def write(self, frames: FloatArray) -> str | None:
        """The text of frames `[frames, width]`, words joined by single spaces; None if endless."""
        memory = self._model.remember(frames[np.newaxis], np.array([len(frames)], np.int64))
        token, past = self._start_id, None
        written: list[str] = []
        while len(written) < self._longest_tokens:
            logits, past = self._model.step(np.array([[token]], np.int64), memory, past)
            token = int(logits[0, -1].argmax())
            if token == self._end_id:
                text = "".join(written).encode("latin-1").decode("utf-8", errors="replace")
                return " ".join(text.split())
            written.append(self._tokens[token])
        return None
