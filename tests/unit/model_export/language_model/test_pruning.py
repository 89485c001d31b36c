from itertools import product

import numpy as np
import pytest

from model_export.language_model.counts import SPECIAL_WORDS, count_ngrams
from model_export.language_model.kneser_ney import estimate
from model_export.language_model.pruning import prune, with_backoffs

SENTENCES = [*["the cat sat on the mat"] * 5, "the dog sat on the cat", "a zebra sat", "the mat"]
WORDS = ["the", "sat", "cat", "on", "mat", "dog", "a"]


@pytest.fixture
def model():
    return estimate((*SPECIAL_WORDS, *WORDS), count_ngrams(SENTENCES, WORDS, 3))


def names(pruned, order):
    table, listed = pruned.model.tables[order - 1], pruned.listed[order - 1]
    words = pruned.model.words

    def name(row, order):
        table = pruned.model.tables[order - 1]
        last = words[table.word[row]]
        return last if order == 1 else f"{name(table.history[row], order - 1)} {last}"

    return {name(row, order) for row in np.flatnonzero(listed[: len(table.word)])}


def count(listed):
    return sum(int(flags.sum()) for flags in listed)


def test_all_that_fits_is_listed_but_the_unknown_word_s_n_grams(model):
    pruned = prune(model, lambda listed: True)
    assert names(pruned, 1) == {*SPECIAL_WORDS, *WORDS}
    assert "the cat sat" in names(pruned, 3)
    assert not [name for order in (2, 3) for name in names(pruned, order) if "<unk>" in name]


@pytest.mark.parametrize("most", range(12, 40, 4))
def test_as_many_as_fit_are_listed_with_their_histories(model, most):
    pruned = prune(model, lambda listed: count(listed) <= most)
    assert most - 3 <= count(pruned.listed) <= most
    for order in (2, 3):
        assert {n.rpartition(" ")[0] for n in names(pruned, order)} <= names(pruned, order - 1)


def test_unigrams_stay_even_where_they_do_not_fit(model):
    pruned = prune(model, lambda listed: False)
    assert [int(flags.sum()) for flags in pruned.listed] == [len(model.words), 0, 0]


def test_what_goes_first_is_what_the_model_changes_least_without(model):
    """The least relative entropy, computed over all words after all histories."""
    everything = prune(model, lambda listed: True).listed
    trigrams = np.flatnonzero(everything[2])
    without = []
    for row in trigrams:
        listed = [flags.copy() for flags in everything]
        listed[2][row] = False
        without.append(divergence(model, everything, listed))
    pruned = prune(model, lambda listed: listed[2].sum() <= len(trigrams) // 2)
    kept = [pruned.listed[2][row] for row in trigrams]
    assert max(d for d, k in zip(without, kept, strict=True) if not k) <= 1e-9 + min(
        d for d, k in zip(without, kept, strict=True) if k
    )


def divergence(model, before, after):
    """Relative entropy between two models of order 3, each history weighed as it occurs."""
    full, less = with_backoffs(model, before), with_backoffs(model, after)
    bigrams = model.tables[1]
    weights = bigrams.count / model.tables[0].count.sum()
    total = 0.0
    for history, word in product(range(len(bigrams.word)), range(len(model.words))):
        p, q = probability(full, history, word), probability(less, history, word)
        if p > 0:
            total += weights[history] * p * np.log(p / q)
    return total


def probability(pruned, history, word):
    """Of a word after a bigram, by its row: as ARPA's readers compute it."""
    model = pruned.model
    row = found(pruned, 3, history, word)
    if row is not None:
        return model.probabilities[2][row]
    last = model.tables[1].suffix[history]
    row = found(pruned, 2, last, word)
    lower = (
        model.probabilities[1][row]
        if row is not None
        else pruned.backoffs[0][last] * model.probabilities[0][word]
    )
    return pruned.backoffs[1][history] * lower


def found(pruned, order, history, word):
    table = pruned.model.tables[order - 1]
    is_it = (table.history == history) & (table.word == word) & pruned.listed[order - 1]
    rows = np.flatnonzero(is_it)
    return rows[0] if len(rows) else None
