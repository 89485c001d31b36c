"""Token paths to words with times and confidences, and the greedy path.

A path says one label a frame. Repeats collapse into one run, blanks vanish, and word delimiters
cut what remains into words. A word lasts from the first to the last frame of its runs; its
confidence is the acoustic model's probability that just these labels are said there, per label.
Greedy decoding takes each frame's best label; `service.beam_search` finds another path.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

from service.arrays import FloatArray
from service.bundle import Vocabulary
from service.confidence import Stretch, log_probabilities

MARGIN_S = 0.3  # longest pause beside a word in which more of it could be
LONGEST_STRETCH = 32  # labels; where words have no delimiters, they are long
PAUSE_S = 0.5  # no word has one inside: 0.3 s, greedily, and 0.4 s were the longest of 3000 words
IMPOSSIBLE = -1e4  # natural logarithm; far below any real frame, and finite
CERTAIN = 30.0  # logit: no language model makes words of 1e-13


@dataclass(frozen=True)
class Word:
    """A word in time.

    Attributes:
        word: its characters.
        start_s: start of its first frame, in seconds from the beginning of the audio.
        end_s: end of its last frame; after `start_s`, not after the audio's end.
        confidence: in [0, 1]; the acoustic model's probability of these labels alone, from half-way
            to the word before to half-way to the next, as the geometric mean over the labels.
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
        log_posteriors: `[frames, vocab]`, natural logarithms of the acoustic model's posteriors; of
            more frames, if the path ends early.
        first_frame: how many frames of the audio come before.
    """

    labels: npt.NDArray[np.intp]
    log_posteriors: FloatArray
    first_frame: int = 0


class Part(NamedTuple):
    """Which frames to read, where the logits of the beginning of some audio are there.

    Attributes:
        first: where reading begins: where an earlier part's last passage ended.
        is_last: whether no frames follow; if some do, what they could change is left to them.
    """

    first: int = 0
    is_last: bool = True

    def settled(self, logits: FloatArray, vocabulary: Vocabulary) -> FloatArray:
        """The frames `[frames, vocab]` before a pause at the end that may go on."""
        if self.is_last:
            return logits
        letters = np.flatnonzero(~are_silent(logits, vocabulary))
        return logits[: letters[-1] + 1 if letters.size else 0]


WHOLE = Part()


class Passage(NamedTuple):
    """Words, and the frame where the next ones are to be looked for."""

    words: list[Word]
    end: int


class _Run(NamedTuple):
    """Neighbouring frames `[start, end)` of a path with one label."""

    label: int
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
    return Transcript.of(
        greedy_passage(logits, vocabulary, frame_s=frame_s, duration_s=duration_s).words
    )


def greedy_passage(
    logits: FloatArray,
    vocabulary: Vocabulary,
    *,
    frame_s: float,
    duration_s: float,
    part: Part = WHOLE,
) -> Passage:
    """As `greedy_decode`, but of a part of the audio: up to its last pause that is over."""
    heard = part.settled(frames_within(logits, frame_s=frame_s, duration_s=duration_s), vocabulary)
    end = len(heard)
    if not part.is_last:
        middles = [sum(pause) // 2 for pause in pauses(heard, vocabulary, frame_s)]
        end = max([part.first, *middles])
    frames = log_posteriors_of(heard, vocabulary, frame_s)[part.first : end]
    path = TokenPath(frames.argmax(axis=1), frames, first_frame=part.first)
    return Passage(list(read_path(path, vocabulary, frame_s=frame_s, duration_s=duration_s)), end)


def frames_within(logits: FloatArray, *, frame_s: float, duration_s: float) -> FloatArray:
    """The frames `[frames, vocab]` that start before the audio's end."""
    return logits[: max(0, int(np.ceil(duration_s / frame_s - 1e-6)))]


def read_path(
    path: TokenPath, vocabulary: Vocabulary, *, frame_s: float, duration_s: float
) -> Iterator[Word]:
    """The words that a path says; see `greedy_decode`."""
    words = list(_words(_runs(path.labels, vocabulary), vocabulary))
    margin_frames = round(MARGIN_S / frame_s)
    for runs, confidence in zip(
        words, _confidences(path, words, vocabulary, margin_frames), strict=True
    ):
        yield Word(
            word="".join(vocabulary.tokens[run.label] for run in runs),
            start_s=(path.first_frame + runs[0].start) * frame_s,
            end_s=min((path.first_frame + runs[-1].end) * frame_s, duration_s),
            confidence=confidence,
        )


def blank_logits(samples: int, samples_per_frame: int, vocabulary: Vocabulary) -> FloatArray:
    """Logits `[frames, vocab]` that say nothing, for audio in which there is nothing to hear."""
    frames = -(-samples // samples_per_frame)
    logits = np.zeros((frames, len(vocabulary.tokens)), dtype=np.float32)
    logits[:, vocabulary.blank_id] = CERTAIN
    return logits


def pauses(logits: FloatArray, vocabulary: Vocabulary, frame_s: float) -> list[tuple[int, int]]:
    """Ranges `[start, end)` of frames, from `PAUSE_S` on, in which no letter is the best label."""
    is_silent = are_silent(logits, vocabulary)
    edges = np.flatnonzero(np.diff(is_silent, prepend=False, append=False)).tolist()
    ranges = zip(edges[::2], edges[1::2], strict=True)
    return [(start, end) for start, end in ranges if (end - start) * frame_s >= PAUSE_S]


def log_softmax(logits: FloatArray) -> FloatArray:
    """Natural logarithms of the posteriors `[frames, vocab]`, each frame by itself."""
    shifted = logits - logits.max(axis=1, keepdims=True, initial=-np.inf)
    log_posteriors: FloatArray = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return log_posteriors


def log_posteriors_of(logits: FloatArray, vocabulary: Vocabulary, frame_s: float) -> FloatArray:
    """Natural logarithms of the posteriors `[frames, vocab]`; in each pause, words end."""
    log_posteriors = log_softmax(logits)
    middles = [sum(pause) // 2 for pause in pauses(logits, vocabulary, frame_s)]
    log_posteriors[middles] = IMPOSSIBLE
    log_posteriors[middles, vocabulary.tokens.index(vocabulary.word_delimiter)] = 0.0
    return log_posteriors


def are_silent(logits: FloatArray, vocabulary: Vocabulary) -> npt.NDArray[np.bool_]:
    """Whether the best label of a frame of logits `[frames, vocab]` is no letter, `[frames]`."""
    best = logits.argmax(axis=1)
    delimiter = vocabulary.tokens.index(vocabulary.word_delimiter)
    is_silent: npt.NDArray[np.bool_] = (best == vocabulary.blank_id) | (best == delimiter)
    return is_silent


def _runs(labels: npt.NDArray[np.intp], vocabulary: Vocabulary) -> Iterator[_Run]:
    """Collapse repeats and drop blanks."""
    edges = np.flatnonzero(np.diff(labels, prepend=-1, append=-1)).tolist()
    for start, end in pairwise(edges):
        if (label := int(labels[start])) != vocabulary.blank_id:
            yield _Run(label, start, end)


def _words(runs: Iterator[_Run], vocabulary: Vocabulary) -> Iterator[list[_Run]]:
    delimiter = vocabulary.tokens.index(vocabulary.word_delimiter)
    for is_delimiter, members in groupby(runs, key=lambda run: run.label == delimiter):
        if not is_delimiter:
            yield list(members)


def _confidences(
    path: TokenPath, words: Sequence[Sequence[_Run]], vocabulary: Vocabulary, margin_frames: int
) -> Iterator[float]:
    """Of each word; a long one's parts are independent."""
    parts = [
        (place, word[first : first + LONGEST_STRETCH])
        for place, word in enumerate(words)
        for first in range(0, len(word), LONGEST_STRETCH)
    ]
    sums = np.zeros(len(words))
    logs = log_probabilities(
        path.log_posteriors,
        _stretches([part for _, part in parts], len(path.log_posteriors), margin_frames),
        blank_id=vocabulary.blank_id,
        delimiter_id=vocabulary.tokens.index(vocabulary.word_delimiter),
    )
    np.add.at(sums, [place for place, _ in parts], logs)
    for word, log in zip(words, sums, strict=True):
        yield float(np.exp(log / len(word)))


def _stretches(parts: Sequence[Sequence[_Run]], frames: int, margin_frames: int) -> list[Stretch]:
    """Each from half-way to the part before to half-way to the next, but no long pauses."""
    starts = [part[0].start for part in parts]
    ends = [part[-1].end for part in parts]
    middles = [(end + start) // 2 for end, start in zip(ends, starts[1:], strict=False)]
    return [
        Stretch(
            tuple(run.label for run in part),
            max(start - margin_frames, earliest),
            min(end + margin_frames, latest),
        )
        for part, start, end, earliest, latest in zip(
            parts, starts, ends, [0, *middles], [*middles, frames], strict=False
        )
    ]
