"""How sure an acoustic model is of words: CTC's forward algorithm on the frames of each; pure.

The labels that a path gives a word are one way to say it. What counts is the probability of all
ways to say just this word in its stretch of the audio, since everything else that the stretch may
say is a competitor: other letters, more of them, fewer, or two words.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from service.arrays import FloatArray

GROUP = 64  # stretches that advance together; bounds the memory


class Stretch(NamedTuple):
    """What frames `[start, end)` are held to say.

    Attributes:
        labels: at least one, without blanks.
        start: first frame.
        end: behind the last; leaves room for the labels, and for a blank between equal ones.
    """

    labels: tuple[int, ...]
    start: int
    end: int


def log_probabilities(
    log_posteriors: FloatArray, stretches: Sequence[Stretch], *, blank_id: int, delimiter_id: int
) -> npt.NDArray[np.float64]:
    """Probability that each stretch says its labels and nothing else.

    Args:
        log_posteriors: `[frames, vocab]`, natural logarithms.
        stretches: each within the frames.
        blank_id: CTC's blank.
        delimiter_id: may be said before and behind the labels, which changes nothing.

    Returns:
        `[stretches]`, natural logarithms, at most 0.
    """
    edges = np.logaddexp(log_posteriors[:, blank_id], log_posteriors[:, delimiter_id])
    groups = [stretches[first : first + GROUP] for first in range(0, len(stretches), GROUP)]
    found = [_forward(log_posteriors, edges, group, blank_id) for group in groups]
    return np.concatenate([np.empty(0), *found]).clip(max=0.0)


def _forward(
    log_posteriors: FloatArray, edges: FloatArray, stretches: Sequence[Stretch], blank_id: int
) -> npt.NDArray[np.float64]:
    """The forward algorithm on several stretches, `[stretches]`.

    States are a stretch's labels with a blank before, between and behind them; the outer two may
    say the delimiter too. Behind a stretch's own states and frames are some not looked at.
    """
    states, last = _states(stretches, blank_id)
    starts = np.array([one.start for one in stretches])
    lengths = np.array([one.end - one.start for one in stretches])
    rows = np.arange(len(stretches))
    may_skip = np.zeros(states.shape, dtype=bool)
    may_skip[:, 3::2] = states[:, 3::2] != states[:, 1:-2:2]
    forward = np.full(states.shape, -np.inf)
    forward[:, 0] = 0.0  # before the first frame; there it stays, or goes on to the first label
    found = np.empty(len(stretches))
    for step in range(lengths.max()):
        frames = np.minimum(starts + step, len(edges) - 1)
        said = log_posteriors[frames[:, None], states]
        said[:, 0] = said[rows, last] = edges[frames]
        forward = _advance(forward, may_skip) + said
        is_over = lengths == step + 1
        at = rows[is_over], last[is_over]
        found[is_over] = np.logaddexp(forward[at], forward[at[0], at[1] - 1])
    return found


def _states(
    stretches: Sequence[Stretch], blank_id: int
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Labels of the states `[stretches, states]`, and the last state of each stretch."""
    counts = np.array([len(one.labels) for one in stretches])
    states = np.full((len(stretches), 2 * counts.max() + 1), blank_id)
    for row, one in zip(states, stretches, strict=True):
        row[1 : 2 * len(one.labels) : 2] = one.labels
    return states, 2 * counts


def _advance(
    forward: npt.NDArray[np.float64], may_skip: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float64]:
    """Stay in a state, come from the one before, or skip a blank between different labels."""
    moved = forward.copy()
    moved[:, 1:] = np.logaddexp(forward[:, 1:], forward[:, :-1])
    skipped = np.where(may_skip[:, 2:], forward[:, :-2], -np.inf)
    moved[:, 2:] = np.logaddexp(moved[:, 2:], skipped)
    return moved
