"""Words of an utterance while it is still being said, by a search that goes on frame by frame.

What lies a second back and ends a word is settled: it is read once and its hypotheses are dropped,
so time per frame and memory stay the same however long the utterance grows.
"""

from math import inf

import numpy as np
import numpy.typing as npt
from flashlight.lib.text.decoder import LexiconDecoder

from service.arrays import FloatArray
from service.bundle import Vocabulary
from service.ctc import TokenPath, Word, log_softmax, read_path

SETTLED_BEHIND_S = 1.0
BEAM = 25  # a tenth of the time of 250, for words that are shown for a moment
STEP_FRAMES = 25  # the search holds the interpreter's lock for so many


class GrowingWords:
    """The finished words of one utterance, as its logits arrive.

    Attributes:
        settled: words that will not change.

    Args:
        decoder: of its own, with nothing decoded yet.
        vocabulary: what the columns of logits mean.
        frame_s: seconds from one frame to the next.
    """

    def __init__(self, decoder: LexiconDecoder, vocabulary: Vocabulary, frame_s: float) -> None:
        self.settled: list[Word] = []
        self._decoder = decoder
        self._vocabulary = vocabulary
        self._frame_s = frame_s
        self._look_back_frames = round(SETTLED_BEHIND_S / frame_s)
        # The search takes it that a word ended in a frame before the first.
        self._first_frame = -1  # of what is not settled
        self._log_posteriors: FloatArray = np.zeros((1, len(vocabulary.tokens)), np.float32)
        decoder.decode_begin()

    def add(self, logits: FloatArray) -> tuple[Word, ...]:
        """Go on with more frames.

        Args:
            logits: `[frames, vocab]`, unnormalised.

        Returns:
            The words that are over by now, settled ones first; an unfinished one is not told.
        """
        for first in range(0, len(logits), STEP_FRAMES):
            step = logits[first : first + STEP_FRAMES]
            frames = np.ascontiguousarray(log_softmax(step), np.float32)
            self._log_posteriors = np.concatenate([self._log_posteriors, frames])
            self._decoder.decode_step(frames.ctypes.data, *frames.shape)
            self._settle()
        return (*self.settled, *self._read(self._best_labels(look_back_frames=0)))

    def _settle(self) -> None:
        labels = self._best_labels(self._look_back_frames)
        if not labels.size:
            return
        self._decoder.prune(self._look_back_frames)
        self.settled += self._read(labels)
        self._first_frame += len(labels)
        self._log_posteriors = self._log_posteriors[len(labels) :]

    def _best_labels(self, look_back_frames: int) -> npt.NDArray[np.intp]:
        """Of the frames up to the end of the last word that is over so many frames before now."""
        # A word counts as over one frame later, which may belong to the next word.
        tokens = self._decoder.get_best_hypothesis(look_back_frames).tokens[:-1]
        return np.array(tokens, dtype=np.intp)

    def _read(self, labels: npt.NDArray[np.intp]) -> list[Word]:
        # Not the frames behind the last word: they belong to one that is not over.
        path = TokenPath(labels, self._log_posteriors[: len(labels)], self._first_frame)
        return list(read_path(path, self._vocabulary, frame_s=self._frame_s, duration_s=inf))
