"""Words heard against words said: which are right, when they begin, what confidence tells."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import jiwer
import numpy as np
import numpy.typing as npt

from service.ctc import Word


class Matched(NamedTuple):
    """What became of a text's words.

    Attributes:
        pairs: places of equal words, `(said, heard)`, in order.
        substitutions: words heard as others.
        deletions: words that were not heard.
        insertions: words that were not said.
        said: how many words.
    """

    pairs: tuple[tuple[int, int], ...]
    substitutions: int
    deletions: int
    insertions: int
    said: int

    @property
    def errors(self) -> int:
        """All of them."""
        return self.substitutions + self.deletions + self.insertions


def match(said: Sequence[str], heard: Sequence[str]) -> Matched:
    """Align two texts with the fewest errors; apostrophes do not count."""
    texts = (" ".join(word.replace("'", "") or "'" for word in words) for words in (said, heard))
    found = jiwer.process_words(*texts)
    pairs = [
        (chunk.ref_start_idx + place, chunk.hyp_start_idx + place)
        for chunk in found.alignments[0]
        if chunk.type == "equal"
        for place in range(chunk.ref_end_idx - chunk.ref_start_idx)
    ]
    return Matched(tuple(pairs), found.substitutions, found.deletions, found.insertions, len(said))


def auroc(scores: npt.ArrayLike, is_right: npt.ArrayLike) -> float:
    """How often a right word has a higher score than a wrong one; a tie counts half.

    Args:
        scores: `[words]`.
        is_right: `[words]`.

    Returns:
        In [0, 1]; NaN if all words are right, or all wrong.
    """
    scores, is_right = np.asarray(scores), np.asarray(is_right, dtype=bool)
    right, wrong = scores[is_right], np.sort(scores[~is_right])
    if not right.size or not wrong.size:
        return float("nan")
    places = np.searchsorted(wrong, right, "left") + np.searchsorted(wrong, right, "right")
    return float(places.mean() / 2 / wrong.size)


def faults(words: Sequence[Word], duration_s: float) -> list[str]:
    """What is wrong with the times of words; nothing, if they are in order, inside, and last."""
    found = [f"{one.word!r} does not last" for one in words if one.end_s <= one.start_s]
    found += [
        f"{after.word!r} begins before {before.word!r} ends"
        for before, after in pairwise(words)
        if after.start_s < before.end_s
    ]
    outside = (one for one in words if one.start_s < 0 or one.end_s > duration_s)
    return [*found, *(f"{one.word!r} is outside" for one in outside)]
