"""Language models: after any history, listed or not, the probabilities of all words sum to one."""

from itertools import product

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from model_export.language_model.counts import BEGIN_ID, SPECIAL_WORDS, count_ngrams
from model_export.language_model.kneser_ney import estimate
from model_export.language_model.pruning import prune

WORDS = ["a", "b", "c"]
# A fourth word, which the vocabulary lacks.
SENTENCES = st.lists(st.lists(st.sampled_from([*WORDS, "d"]), max_size=8).map(" ".join), min_size=1)


@given(sentences=SENTENCES, order=st.integers(1, 4), most=st.integers(0, 60))
def test_probabilities_sum_to_one(sentences, order, most):
    model = estimate((*SPECIAL_WORDS, *WORDS), count_ngrams(sentences, WORDS, order))
    pruned = prune(model, lambda listed: sum(int(flags.sum()) for flags in listed) <= most)
    listed = read_back(pruned)
    ids = range(len(model.words))
    for length in range(order):
        for history in product(ids, repeat=length):
            total = sum(probability(listed, (*history, word)) for word in ids if word != BEGIN_ID)
            np.testing.assert_allclose(total, 1, atol=1e-6)


def read_back(pruned):
    """Probability and backoff weight by word ids, as a file lists them."""
    entries = {}
    names = [()]
    for below, table in enumerate(pruned.model.tables):
        pairs = zip(table.history, table.word, strict=True)
        names = [(*names[history], int(word)) for history, word in pairs]
        for row in np.flatnonzero(pruned.listed[below]):
            backoff = pruned.backoffs[below][row] if below < len(pruned.backoffs) else 1.0
            entries[names[row]] = (pruned.model.probabilities[below][row], backoff)
    return entries


def probability(entries, ngram):
    """As every reader of ARPA files computes it."""
    if ngram in entries:
        return entries[ngram][0]
    backoff = entries.get(ngram[:-1], (0, 1.0))[1]
    return backoff * probability(entries, ngram[1:])
