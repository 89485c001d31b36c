"""Long logits as pieces cut at pauses; pure functions."""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from service.arrays import FloatArray
from service.bundle import Vocabulary
from service.ctc import WHOLE, Part


class Piece(NamedTuple):
    """Frames `[start, end)`."""

    start: int
    end: int


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
