"""Greedy CTC, chunk by chunk: what the best labels say so far, at the cost of the newest frames.

All but the last word is settled: each frame's best label is final once the graph has given it.
"""

import numpy as np

from service.arrays import FloatArray
from service.bundle import Vocabulary
from service.ctc import PAUSE_S, Word
from service.streaming.recogniser import stable_chars


class GreedyPath:
    """The words of one utterance, as its logits arrive.

    Args:
        vocabulary: what the columns mean.
        frame_s: seconds from one frame to the next.
    """

    def __init__(self, vocabulary: Vocabulary, frame_s: float) -> None:
        self._vocabulary = vocabulary
        self._delimiter_id = vocabulary.tokens.index(vocabulary.word_delimiter)
        self._frame_s = frame_s
        self._pause_frames = round(PAUSE_S / frame_s)
        self._finished: list[Word] = []
        self._letters: list[str] = []
        self._logs: list[float] = []
        self._start = self._end = 0  # frames of the word that is being said
        self._previous = vocabulary.blank_id
        self._frames = 0

    @property
    def words(self) -> tuple[Word, ...]:
        """All words so far; confidence is that of the best labels alone."""
        return (*self._finished, *self._unfinished())

    @property
    def stable_chars(self) -> int:
        """Characters of the words' text that will not change."""
        return stable_chars(self._finished, self.words)

    @property
    def frames_without_letters(self) -> int:
        """How long the end is without a letter, if there was one at all."""
        return self._frames - self._end if self._end else 0

    def add(self, logits: FloatArray) -> None:
        """Read more frames `[frames, vocab]`, unnormalised."""
        best = logits.argmax(axis=1)
        peaks = logits.max(axis=1)
        logs = -np.log(np.exp(logits - peaks[:, np.newaxis]).sum(axis=1))
        for label, log in zip(best.tolist(), logs.tolist(), strict=True):
            self._read(label, log)

    def _read(self, label: int, log: float) -> None:
        self._frames += 1
        if label in {self._vocabulary.blank_id, self._delimiter_id}:
            is_pause = self._frames - self._end >= self._pause_frames
            if label == self._delimiter_id or is_pause:
                self._finish()
        else:
            if not self._letters:
                self._start = self._frames - 1
            if label != self._previous:
                self._letters.append(self._vocabulary.tokens[label])
            self._logs.append(log)
            self._end = self._frames
        self._previous = label

    def _finish(self) -> None:
        self._finished += self._unfinished()
        self._letters.clear()
        self._logs.clear()

    def _unfinished(self) -> list[Word]:
        if not self._letters:
            return []
        return [
            Word(
                "".join(self._letters),
                self._start * self._frame_s,
                self._end * self._frame_s,
                float(np.exp(np.mean(self._logs))),
            )
        ]
