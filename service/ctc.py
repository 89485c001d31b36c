"""Token paths to words with times and confidences, and the greedy path.

A path says one label a frame. Repeats collapse into one run, blanks vanish, and word delimiters
cut what remains into words. A word lasts from the first to the last frame of its runs; its
confidence is the geometric mean of the acoustic posteriors of the frames that say it. Greedy
decoding takes each frame's best label; `service.beam_search` finds another path.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

from service.arrays import FloatArray
from service.bundle import Vocabulary

CERTAIN = 30.0  # logit: no language model makes words of 1e-13


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

    @classmethod
    def of(cls, words: Iterable[Word]) -> Self:
        """The transcript that these words make."""
        words = tuple(words)
        return cls(" ".join(word.word for word in words), words)


class TokenPath(NamedTuple):
    """What neighbouring frames say.

    Attributes:
        labels: `[frames]`, an id of the vocabulary each.
        log_posteriors: `[frames]`, natural logarithm of the acoustic model's posterior of each.
        first_frame: how many frames of the audio come before.
    """

    labels: npt.NDArray[np.intp]
    log_posteriors: FloatArray
    first_frame: int = 0


class _Run(NamedTuple):
    """Neighbouring frames `[start, end)` of a path with one label."""

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
    logits = frames_within(logits, frame_s=frame_s, duration_s=duration_s)
    path = TokenPath(logits.argmax(axis=1), _best_log_posteriors(logits))
    return Transcript.of(read_path(path, vocabulary, frame_s=frame_s, duration_s=duration_s))


def frames_within(logits: FloatArray, *, frame_s: float, duration_s: float) -> FloatArray:
    """The frames `[frames, vocab]` that start before the audio's end."""
    return logits[: max(0, int(np.ceil(duration_s / frame_s - 1e-6)))]


def read_path(
    path: TokenPath, vocabulary: Vocabulary, *, frame_s: float, duration_s: float
) -> Iterator[Word]:
    """The words that a path says; see `greedy_decode`."""
    for runs in _words(_runs(path.labels, vocabulary), vocabulary.word_delimiter):
        frames = np.concatenate([np.arange(run.start, run.end) for run in runs])
        yield Word(
            word="".join(run.token for run in runs),
            start_s=(path.first_frame + runs[0].start) * frame_s,
            end_s=min((path.first_frame + runs[-1].end) * frame_s, duration_s),
            confidence=float(np.exp(path.log_posteriors[frames].mean())),
        )


def blank_logits(samples: int, samples_per_frame: int, vocabulary: Vocabulary) -> FloatArray:
    """Logits `[frames, vocab]` that say nothing, for audio in which there is nothing to hear."""
    frames = -(-samples // samples_per_frame)
    logits = np.zeros((frames, len(vocabulary.tokens)), dtype=np.float32)
    logits[:, vocabulary.blank_id] = CERTAIN
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
