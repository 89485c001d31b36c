"""Where in the audio a text is said: CTC's likeliest path that says just this text; pure.

States are a gap, a word's characters with blanks between them, a gap, and so on. A gap says blanks
and word delimiters as it likes; between two words it lasts a frame at least, and before the first
and behind the last it may be missing.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from service.arrays import FloatArray
from service.bundle import Vocabulary
from service.ctc import IMPOSSIBLE

GAP = -1
Labels = npt.NDArray[np.intp]


class Alignment(NamedTuple):
    """A path, and what it costs.

    Attributes:
        labels: `[frames]`, what each frame says.
        agreement: how much less likely it is than the frames' best labels, as natural logarithm for
            each character; at most 0.
    """

    labels: Labels
    agreement: float


def align(log_posteriors: FloatArray, text: str, vocabulary: Vocabulary) -> Alignment | None:
    """Find the likeliest path that says a text.

    Args:
        log_posteriors: `[frames, vocab]`, natural logarithms.
        text: words joined by single spaces, at least one.
        vocabulary: what the columns mean.

    Returns:
        None if the vocabulary lacks a character, or there are fewer frames than the text needs.
    """
    ids = {token: number for number, token in enumerate(vocabulary.tokens)}
    if not all(character in ids for character in text.replace(" ", "")):
        return None
    delimiter_id = ids[vocabulary.word_delimiter]
    states, may_skip = _states(text, ids, vocabulary.blank_id)
    gaps = np.maximum(log_posteriors[:, vocabulary.blank_id], log_posteriors[:, delimiter_id])
    emissions = np.where(states == GAP, gaps[:, None], log_posteriors[:, states])
    found = _best_path(emissions, may_skip)
    if found is None:
        return None
    path, score = found
    labels = states[path]
    _fill_gaps(labels, path, log_posteriors, (vocabulary.blank_id, delimiter_id), len(states))
    best = float(log_posteriors.max(axis=1).sum())
    return Alignment(labels, (score - best) / len(text))


def _states(text: str, ids: dict[str, int], blank_id: int) -> tuple[Labels, npt.NDArray[np.bool_]]:
    """What each state says, and whether a path may come to it from the one before the last."""
    states, may_skip = [GAP], [False]
    for word in text.split(" "):
        for place, character in enumerate(word):
            if place:
                states.append(blank_id)
                may_skip.append(False)
            states.append(ids[character])
            may_skip.append(place > 0 and character != word[place - 1])
        states.append(GAP)
        may_skip.append(False)
    return np.array(states, np.intp), np.array(may_skip)


def _best_path(
    emissions: FloatArray, may_skip: npt.NDArray[np.bool_]
) -> tuple[Labels, float] | None:
    """The likeliest states `[frames]`, and their log-probability."""
    frames, count = emissions.shape
    if frames == 0:
        return None
    came_from = np.zeros((frames, count), np.int8)  # how many states back
    skip_cost = np.where(may_skip, 0.0, -np.inf).astype(np.float32)
    score = np.full(count, -np.inf, np.float32)
    score[:2] = emissions[0, :2]
    step, skip = np.full((2, count), -np.inf, np.float32)
    for frame in range(1, frames):
        step[1:] = score[:-1]
        np.add(score[:-2], skip_cost[2:], out=skip[2:])
        back = came_from[frame]
        np.greater(step, score, out=back, casting="unsafe")
        np.maximum(score, step, out=score)
        back[skip > score] = 2
        np.maximum(score, skip, out=score)
        score += emissions[frame]
    last = count - 1 if score[-1] >= score[-2] else count - 2
    if not score[last] > IMPOSSIBLE * frames:
        return None
    path = np.empty(frames, np.intp)
    state = last
    for frame in range(frames - 1, -1, -1):
        path[frame] = state
        state -= int(came_from[frame, state])
    return path, float(score[last])


def _fill_gaps(
    labels: Labels, path: Labels, log_posteriors: FloatArray, edges: tuple[int, int], states: int
) -> None:
    """Let gaps say their likelier label, and each between two words the delimiter once at least."""
    blank_id, delimiter_id = edges
    is_delimited = log_posteriors[:, delimiter_id] > log_posteriors[:, blank_id]
    in_gap = labels == GAP
    labels[in_gap] = np.where(is_delimited[in_gap], delimiter_id, blank_id)
    for state in np.unique(path[in_gap]):
        frames = np.flatnonzero(path == state)
        if 0 < state < states - 1:
            labels[frames[log_posteriors[frames, delimiter_id].argmax()]] = delimiter_id
