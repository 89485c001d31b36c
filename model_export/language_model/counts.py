"""Counting n-grams of any order in arrays.

An n-gram is a row of its order's table: the row of its history (the words before its last one) in
the table below, and its last word. So a key of two numbers stands for a word sequence of any
length, and one sort counts an order.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import numpy.typing as npt

Ids = npt.NDArray[np.int64]
UNKNOWN, BEGIN, END = SPECIAL_WORDS = ("<unk>", "<s>", "</s>")
UNKNOWN_ID, BEGIN_ID, END_ID = 0, 1, 2
NO_NGRAM = -1


@dataclass(frozen=True)
class NgramTable:
    """The n-grams of one order that occur, ordered by history, then by last word.

    Attributes:
        history: row of all words but the last in the table of one order less; 0 for unigrams.
        word: id of the last word.
        suffix: row of all words but the first in the table of one order less; 0 for unigrams.
        first: id of the first word.
        count: how often each occurs.
    """

    history: Ids
    word: Ids
    suffix: Ids
    first: Ids
    count: Ids


def choose_words(
    sentences: Iterable[str], *, max_words: int, min_count: int, known: Iterable[str] = ()
) -> list[str]:
    """Words of a model, the most frequent first; of equals the first by code points.

    Args:
        sentences: normalised.
        max_words: keep at most so many.
        min_count: leave out what is rarer.
        known: words to have in any case, even if no sentence does.
    """
    counts = Counter(word for sentence in sentences for word in sentence.split())
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    frequent = [word for word, count in ranked[:max_words] if count >= min_count]
    return [*frequent, *sorted(set(known).difference(frequent))]


def count_ngrams(sentences: Sequence[str], words: Sequence[str], order: int) -> list[NgramTable]:
    """Tables of the orders 1 to `order`; unigrams are all of the vocabulary, in its order.

    Args:
        sentences: normalised; their other words count as unknown.
        words: the vocabulary, without the three words that every model has.
        order: the highest.
    """
    tokens = _tokens(sentences, words)
    vocabulary_size = len(SPECIAL_WORDS) + len(words)
    every_id = np.arange(vocabulary_size)
    zeros = np.zeros_like(every_id)
    counts = np.bincount(tokens, minlength=vocabulary_size)
    tables = [NgramTable(zeros, every_id, zeros, every_id, counts)]
    ending_here = tokens  # at every token, the row of the n-gram that ends there
    for _ in range(1, order):
        table, ending_here = _next_order(tables[-1], ending_here, tokens, vocabulary_size)
        tables.append(table)
    return tables


def _tokens(sentences: Sequence[str], words: Sequence[str]) -> Ids:
    ids = {word: index for index, word in enumerate((*SPECIAL_WORDS, *words))}
    marked = (chain((BEGIN,), sentence.split(), (END,)) for sentence in sentences)
    tokens = (ids.get(word, UNKNOWN_ID) for word in chain.from_iterable(marked))
    return np.fromiter(tokens, dtype=np.int64)


def _next_order(
    below: NgramTable, ending_here: Ids, tokens: Ids, vocabulary_size: int
) -> tuple[NgramTable, Ids]:
    """Count the n-grams that are one word longer; sentences do not reach into each other."""
    history = np.concatenate(([NO_NGRAM], ending_here[:-1]))
    history[tokens == BEGIN_ID] = NO_NGRAM
    inside = np.flatnonzero(history != NO_NGRAM)
    keys = history[inside] * vocabulary_size + tokens[inside]
    found, firsts, rows, counts = np.unique(
        keys, return_index=True, return_inverse=True, return_counts=True
    )
    histories, words = np.divmod(found, vocabulary_size)
    suffixes = ending_here[inside[firsts]]
    longer = np.full_like(tokens, NO_NGRAM)
    longer[inside] = rows
    return NgramTable(histories, words, suffixes, below.first[histories], counts), longer
