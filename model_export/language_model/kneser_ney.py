"""Interpolated modified Kneser-Ney smoothing (Chen and Goodman 1999, "An empirical study").

    p(w | h) = (c(hw) - D(c(hw))) / c(h) + backoff(h) p(w | h without its first word)

c counts occurrences in the highest order and of n-grams at a sentence's begin, and elsewhere the
different words that stand before; D takes more from n-grams that are counted more often.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from model_export.language_model.counts import BEGIN_ID, Ids, NgramTable

Floats = npt.NDArray[np.float64]
# Taken where counts are too few to estimate them: from n-grams counted once, twice, more often.
FALLBACK_DISCOUNTS = (0.5, 1.0, 1.5)


@dataclass(frozen=True)
class Model:
    """Probabilities of all n-grams that occur; those that do not follow from the backoffs.

    Attributes:
        words: the vocabulary, by id.
        tables: of the orders 1 to n.
        probabilities: of each table's n-grams, given their histories.
    """

    words: tuple[str, ...]
    tables: tuple[NgramTable, ...]
    probabilities: tuple[Floats, ...]


def estimate(words: Sequence[str], tables: Sequence[NgramTable]) -> Model:
    """Smooth counts.

    Args:
        words: all, by id.
        tables: of the orders 1 to n.
    """
    unigrams, *longer = tables
    uniform = np.full(len(words), 1 / (len(words) - 1))
    uniform[BEGIN_ID] = 0  # is never predicted
    counts = adjusted_counts(tables)
    probabilities = [_interpolated(unigrams, counts[0], 1, uniform)]
    for table, adjusted, below in zip(longer, counts[1:], tables, strict=False):
        lower = probabilities[-1][table.suffix]
        probabilities.append(_interpolated(table, adjusted, len(below.word), lower))
    return Model(tuple(words), tuple(tables), tuple(probabilities))


def adjusted_counts(tables: Sequence[NgramTable]) -> list[Ids]:
    """What Kneser-Ney counts in each order."""
    adjusted = []
    for table, above in pairwise(tables):
        preceded_by = np.bincount(above.suffix, minlength=len(table.word))
        adjusted.append(np.where(table.first == BEGIN_ID, table.count, preceded_by))
    adjusted.append(tables[-1].count.copy())
    adjusted[0][BEGIN_ID] = 0
    return adjusted


def discounts(counts: Ids) -> Floats:
    """What is taken from n-grams counted 0, 1, 2, and 3 or more times."""
    n1, n2, n3, n4 = (int(np.count_nonzero(counts == count)) for count in (1, 2, 3, 4))
    if 0 in (n1, n2, n3, n4):
        return np.array((0, *FALLBACK_DISCOUNTS))
    y = n1 / (n1 + 2 * n2)
    estimated = np.array((0, 1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3))
    usable = (estimated > 0) & (estimated < np.arange(4))
    return np.where(usable, estimated, (0, *FALLBACK_DISCOUNTS))


def _interpolated(table: NgramTable, counts: Ids, histories: int, lower: Floats) -> Floats:
    """Probabilities of one order.

    Args:
        table: its n-grams.
        counts: adjusted.
        histories: number of n-grams one order below; 1 for unigrams.
        lower: probability of each n-gram's last word after a history one word shorter.
    """
    taken = discounts(counts)[np.minimum(counts, 3)]
    totals = np.bincount(table.history, counts, histories)[table.history]
    left = np.bincount(table.history, taken, histories)[table.history]
    return (counts - taken + left * lower) / totals
