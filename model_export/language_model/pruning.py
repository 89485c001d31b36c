"""Leaving n-grams out until a model fits a size.

An n-gram goes if the model hardly changes without it: by the relative entropy between the models
before and after (Stolcke 1998, "Entropy-based pruning of backoff language models"). How often its
history occurs is taken from the counts: from Kneser-Ney's own lower orders it cannot be had
(Chelba et al. 2010, "Study on interaction between entropy pruning and Kneser-Ney smoothing").
"""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from model_export.language_model.counts import UNKNOWN_ID, NgramTable
from model_export.language_model.kneser_ney import Floats, Model

Flags = npt.NDArray[np.bool_]
SMALLEST = 1e-9  # of what is left of 1, beside rounding
NEVER = -1.0


@dataclass(frozen=True)
class BackoffModel:
    """A model whose probabilities, over all words after any history, sum to one.

    Attributes:
        model: all n-grams that occur.
        listed: which of them the model has, by order; the others it backs off from.
        backoffs: after each n-gram of each order but the highest, the factor of the lower order.
    """

    model: Model
    listed: tuple[Flags, ...]
    backoffs: tuple[Floats, ...]


def with_backoffs(model: Model, listed: Sequence[Flags]) -> BackoffModel:
    """Weights that make up for the n-grams that are not listed.

    Args:
        model: all n-grams.
        listed: of each order: all unigrams, and with each n-gram its history.
    """
    backoffs = []
    backed_off = model.probabilities[0]  # of the order below, whether listed or not
    orders = zip(model.tables[1:], model.probabilities[1:], listed[1:], strict=True)
    for table, probability, kept in orders:
        lower = backed_off[table.suffix]
        histories = len(backed_off)
        backoff = _left(table, probability * kept, histories) / _left(
            table, lower * kept, histories
        )
        backoffs.append(backoff)
        backed_off = np.where(kept, probability, backoff[table.history] * lower)
    return BackoffModel(model, tuple(listed), tuple(backoffs))


def prune(model: Model, fits: Callable[[Sequence[Flags]], bool]) -> BackoffModel:
    """List the n-grams that matter most, as many as fit.

    Args:
        model: all n-grams.
        fits: whether a choice of them, by order, is small enough; it is not asked of unigrams
            alone.
    """
    losses = [_losses(model, order_below) for order_below in range(len(model.tables))]
    limits = np.unique(np.concatenate([loss[loss > NEVER] for loss in losses]))
    limit = bisect_left(
        range(len(limits) - 1),
        True,
        key=lambda row: fits(_worth(model, losses, float(limits[row]))),
    )
    return with_backoffs(model, _worth(model, losses, float(limits[limit])))


def _losses(model: Model, order_below: int) -> Floats:
    """Relative entropy between a model with and without each n-gram of an order.

    Those of the unknown word are never worth listing: decoding with a lexicon does not ask for
    them. Unigrams always are.
    """
    table, probability = model.tables[order_below], model.probabilities[order_below]
    if order_below == 0:
        return np.full(len(table.word), np.inf)
    below = model.tables[order_below - 1]
    lower = model.probabilities[order_below - 1][table.suffix]
    left = _left(table, probability, len(below.word))[table.history]
    lower_left = _left(table, lower, len(below.word))[table.history]
    backoff = left / lower_left
    backoff_without = (left + probability) / (lower_left + lower)
    change = probability * np.log(lower * backoff_without / probability)
    change += left * np.log(backoff_without / backoff)
    loss = -change * below.count[table.history] / model.tables[0].count.sum()
    return np.where(_has_unknown(model, order_below), NEVER, np.maximum(loss, 0))


def _has_unknown(model: Model, order_below: int) -> Flags:
    """Whether each n-gram of an order has the unknown word in it."""
    table = model.tables[order_below]
    is_unknown: Flags = table.word == UNKNOWN_ID
    if order_below:
        is_unknown |= _has_unknown(model, order_below - 1)[table.history]
    return is_unknown


def _worth(model: Model, losses: Sequence[Floats], limit: float) -> list[Flags]:
    """N-grams worth the limit or more, and the histories of these."""
    listed = [loss >= limit for loss in losses]
    for order_below in range(len(listed) - 1, 0, -1):
        histories = model.tables[order_below].history[listed[order_below]]
        listed[order_below - 1][histories] = True
    return listed


def _left(table: NgramTable, probability: Floats, histories: int) -> Floats:
    """What n-grams leave of 1, by history."""
    taken = np.bincount(table.history, probability, histories)
    return np.maximum(1 - taken, SMALLEST)
