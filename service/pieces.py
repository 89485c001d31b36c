"""Long logits as pieces cut at pauses, and words of these; pure functions."""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from service.arrays import FloatArray
from service.bundle import Vocabulary
from service.ctc import (
    WHOLE,
    Part,
    Passage,
    TokenPath,
    are_silent,
    frames_within,
    log_posteriors_of,
    read_path,
)

Labels: TypeAlias = npt.NDArray[np.intp]  # what each frame says

NOTHING = np.empty(0, np.intp)  # labels of a piece without words


class Piece(NamedTuple):
    """Frames `[start, end)`."""

    start: int
    end: int


class Scale(NamedTuple):
    """How frames lie in the audio.

    Attributes:
        frame_s: seconds from one frame to the next.
        duration_s: length of the audio; frames that start later are left out.
    """

    frame_s: float
    duration_s: float


FindLabels: TypeAlias = Callable[[Piece, FloatArray], Labels]


def read_pieces(
    logits: FloatArray,
    vocabulary: Vocabulary,
    find: FindLabels,
    scale: Scale,
    *,
    longest_s: float,
    part: Part = WHOLE,
) -> Iterator[Passage]:
    """Words of one piece after the other, so that long audio can be left half-way.

    Args:
        logits: `[frames, vocab]`, unnormalised.
        vocabulary: what the columns mean.
        find: labels of a piece, given natural logarithms of its frames' posteriors; they may end
            early.
        scale: of the frames.
        longest_s: of a piece.
        part: what of it to read.
    """
    frame_s, duration_s = scale
    heard = frames_within(logits, frame_s=frame_s, duration_s=duration_s)
    settled = part.settled(heard, vocabulary)
    log_posteriors = log_posteriors_of(settled, vocabulary, frame_s)
    longest_frames = max(2, int(longest_s / frame_s))
    for piece in cut_at_pauses(log_posteriors, vocabulary, longest_frames, part):
        frames = log_posteriors[slice(*piece)]
        labels = find(piece, frames) if _hears(frames, vocabulary) else NOTHING
        path = TokenPath(labels, frames, first_frame=piece.start)
        words = read_path(path, vocabulary, frame_s=frame_s, duration_s=duration_s)
        yield Passage(list(words), piece.end)


def cut_at_pauses(
    log_posteriors: FloatArray,
    vocabulary: Vocabulary,
    longest_frames: int,
    part: Part = WHOLE,
) -> list[Piece]:
    """Cut frames into pieces that a search can take.

    Each cut lies in the last half of what a piece may have: in the middle of the longest pause
    that says the word delimiter, for blanks alone may also stand inside a word; else of the longest
    pause; else where the delimiter is likeliest.

    Args:
        log_posteriors: `[frames, vocab]`, natural logarithms.
        vocabulary: what the columns mean.
        longest_frames: of a piece, at least 2.
        part: what of them to cut; where more frames are to come, none are left in a last piece.

    Returns:
        Pieces in order, none empty, together all frames of the part. A piece is the same whatever
        frames come behind the most that it may have.
    """
    blank = log_posteriors[:, vocabulary.blank_id]
    delimiter = log_posteriors[:, vocabulary.tokens.index(vocabulary.word_delimiter)]
    is_pause = np.logaddexp(blank, delimiter) > np.log(0.5)
    edges, frames = [part.first], len(log_posteriors)
    while frames - edges[-1] > longest_frames:
        earliest, latest = edges[-1] + longest_frames // 2, edges[-1] + longest_frames
        edges.append(earliest + _best_cut(is_pause[earliest:latest], delimiter[earliest:latest]))
    if part.is_last:
        edges.append(frames)
    return [Piece(start, end) for start, end in pairwise(edges) if start < end]


def _best_cut(is_pause: npt.NDArray[np.bool_], delimiter: FloatArray) -> int:
    """Index of the frame before which to cut."""
    edges = np.flatnonzero(np.diff(is_pause, prepend=False, append=False))
    runs: list[tuple[int, int]] = list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))
    if not runs:
        return int(delimiter.argmax())
    runs.sort(key=lambda run: (_says_word_end(delimiter, run), run[1] - run[0]))
    return sum(runs[-1]) // 2


def _says_word_end(delimiter: FloatArray, run: tuple[int, int]) -> bool:
    return bool(delimiter[slice(*run)].max() > np.log(0.5))


def _hears(log_posteriors: FloatArray, vocabulary: Vocabulary) -> bool:
    """Whether a word's token is the likeliest of some frame.

    Where none is, a search would still make short words of noise: each is rewarded, and a
    model that hears no speech at all may not be sure of its blanks.
    """
    return not are_silent(log_posteriors, vocabulary).all()
