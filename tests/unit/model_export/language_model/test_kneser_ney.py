from itertools import chain

import numpy as np
import pytest

from model_export.language_model.counts import SPECIAL_WORDS, count_ngrams
from model_export.language_model.kneser_ney import (
    FALLBACK_DISCOUNTS,
    adjusted_counts,
    discounts,
    estimate,
)


def test_lower_orders_count_the_words_that_stand_before():
    tables = count_ngrams(["a b", "a b", "c b"], ["a", "b", "c"], 2)
    unigrams, bigrams = adjusted_counts(tables)
    # <unk>, <s>, </s>, a, b, c; b occurs three times, after two words.
    np.testing.assert_array_equal(unigrams, [0, 0, 1, 1, 2, 1])
    np.testing.assert_array_equal(bigrams, tables[1].count)


def test_n_grams_that_begin_a_sentence_count_as_they_occur():
    tables = count_ngrams(["a b", "a b", "c b"], ["a", "b", "c"], 3)
    names = [*SPECIAL_WORDS, "a", "b", "c"]
    bigrams = tables[1]
    pairs = [(names[f], names[w]) for f, w in zip(bigrams.first, bigrams.word, strict=True)]
    found = dict(zip(pairs, adjusted_counts(tables)[1].tolist(), strict=True))
    assert found[("<s>", "a")] == 2
    assert found[("a", "b")] == 1


def test_discounts_follow_the_formulas_of_chen_and_goodman():
    counts = np.array([1] * 10 + [2] * 4 + [3] * 3 + [4] * 2)
    y = 10 / 18
    expected = [0, 1 - 2 * y * 4 / 10, 2 - 3 * y * 3 / 4, 3 - 4 * y * 2 / 3]
    np.testing.assert_allclose(discounts(counts), expected)


@pytest.mark.parametrize("counts", [[1, 1, 2], [1] * 9 + [2] * 9 + [3] * 30 + [4]])
def test_discounts_that_cannot_be_estimated_are_the_usual_ones(counts):
    found = discounts(np.array(counts))
    assert set(found[1:]) & set(FALLBACK_DISCOUNTS)
    assert np.all(found >= 0)
    assert np.all(found[1:] < [1, 2, 3])


def test_a_bigram_model_is_what_a_hand_computes():
    """Too few counts for other discounts than 0.5, 1 and 1.5."""
    model = estimate((*SPECIAL_WORDS, "a", "b"), count_ngrams(["a b", "a"], ["a", "b"], 2))
    # Different words before: </s> 2, a 1, b 1; 4 in all. Taken: 1 + 0.5 + 0.5, spread over four.
    end = (2 - 1) / 4 + (2 / 4) / 4
    other = (1 - 0.5) / 4 + (2 / 4) / 4
    np.testing.assert_allclose(model.probabilities[0], [1 / 8, 0, end, other, other])
    rows = zip(model.tables[1].first, model.tables[1].word, strict=True)
    bigrams = dict(zip(((int(f), int(w)) for f, w in rows), model.probabilities[1], strict=True))
    assert bigrams == pytest.approx(
        {
            (1, 3): (2 - 1) / 2 + (1 / 2) * other,  # <s> a, twice
            (3, 2): (1 - 0.5) / 2 + (1 / 2) * end,  # a </s>
            (3, 4): (1 - 0.5) / 2 + (1 / 2) * other,  # a b
            (4, 2): (1 - 0.5) / 1 + (0.5 / 1) * end,  # b </s>
        }
    )
    assert list(chain(model.words)) == ["<unk>", "<s>", "</s>", "a", "b"]
