"""Logits to words: greedy CTC decoding with times and confidences.

Each frame says its best label, repeats collapse into one run, blanks vanish, and word
delimiters cut what remains into words. A word lasts from the first to the last frame of its
runs; its confidence is the geometric mean of the posteriors of the frames that say it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from service.arrays import FloatArray
from service.bundle import Vocabulary


@dataclass(frozen=True)
class Word:
    """A word in time.

    Attributes:
        word: its characters.
        start_s: start of its first frame, in seconds from the beginning of the audio.
        end_s: end of its last frame; after `start_s`, not after the audio's end.
        confidence: in [0, 1].
    """

    word: str
    start_s: float
    end_s: float
    confidence: float


@dataclass(frozen=True)
class Transcript:
    """What was said: the words, and the text they make, joined by single spaces."""

    text: str
    words: tuple[Word, ...]


class _Run(NamedTuple):
    """Neighbouring frames `[start, end)` with one best label."""

    token: str
    start: int
    end: int


def greedy_decode(
    logits: FloatArray, vocabulary: Vocabulary, *, frame_s: float, duration_s: float
) -> Transcript:
    """Decode the best label of every frame.

    Args:
        logits: `[frames, vocab]`, unnormalised.
        vocabulary: what the columns mean.
        frame_s: seconds from one frame to the next.
        duration_s: length of the audio; frames that start later are left out.
    """
    logits = logits[: max(0, int(np.ceil(duration_s / frame_s - 1e-6)))]
    log_posteriors = _best_log_posteriors(logits)
    words = []
    for runs in _words(_runs(logits.argmax(axis=1), vocabulary), vocabulary.word_delimiter):
        frames = np.concatenate([np.arange(run.start, run.end) for run in runs])
        words.append(
            Word(
                word="".join(run.token for run in runs),
                start_s=runs[0].start * frame_s,
                end_s=min(runs[-1].end * frame_s, duration_s),
                confidence=float(np.exp(log_posteriors[frames].mean())),
            )
        )
    return Transcript(" ".join(word.word for word in words), tuple(words))


def blank_logits(samples: int, samples_per_frame: int, vocabulary: Vocabulary) -> FloatArray:
    """Logits `[frames, vocab]` that say nothing, for audio in which there is nothing to hear."""
    frames = -(-samples // samples_per_frame)
    logits = np.zeros((frames, len(vocabulary.tokens)), dtype=np.float32)
    logits[:, vocabulary.blank_id] = 1.0
    return logits


def _best_log_posteriors(logits: FloatArray) -> FloatArray:
    """Log-softmax `[frames]` of each frame's best label."""
    best: FloatArray = logits.max(axis=1, keepdims=True)
    log_posteriors: FloatArray = -np.log(np.exp(logits - best).sum(axis=1))
    return log_posteriors


def _runs(labels: npt.NDArray[np.intp], vocabulary: Vocabulary) -> Iterator[_Run]:
    """Collapse repeats and drop blanks."""
    edges = np.flatnonzero(np.diff(labels, prepend=-1, append=-1)).tolist()
    for start, end in pairwise(edges):
        if labels[start] != vocabulary.blank_id:
            yield _Run(vocabulary.tokens[labels[start]], start, end)


def _words(runs: Iterator[_Run], delimiter: str) -> Iterator[list[_Run]]:
    for is_delimiter, members in groupby(runs, key=lambda run: run.token == delimiter):
        if not is_delimiter:
            yield list(members)
