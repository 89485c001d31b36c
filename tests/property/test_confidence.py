from itertools import groupby, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.confidence import GROUP, Stretch, log_probabilities

BLANK, DELIMITER, LETTERS = 0, 1, (2, 3)
LABELS = (BLANK, DELIMITER, *LETTERS)


def posteriors(frames, seed):
    """`[frames, vocab]`, at least one frame."""
    return np.random.default_rng(seed).dirichlet(np.ones(len(LABELS)), frames)


def found(rows, stretches):
    logs = np.log(rows).astype(np.float32)
    return np.exp(log_probabilities(logs, stretches, blank_id=BLANK, delimiter_id=DELIMITER))


def said(path):
    """What a path says: repeats merged, blanks left out, delimiters around it too."""
    merged = [label for label, _ in groupby(path) if label != BLANK]
    while merged and merged[0] == DELIMITER:
        merged.pop(0)
    while merged and merged[-1] == DELIMITER:
        merged.pop()
    return tuple(merged)


def slow_probability(rows, labels):
    """Of every path that says these labels and nothing else."""
    paths = product(LABELS, repeat=len(rows))
    return sum(np.prod(rows[np.arange(len(rows)), path]) for path in paths if said(path) == labels)


@given(
    st.integers(1, 5),
    st.integers(0, 99),
    st.lists(st.sampled_from(LETTERS), min_size=1, max_size=3),
)
def test_it_is_the_sum_over_all_paths(frames, seed, labels):
    rows = posteriors(frames, seed)
    (probability,) = found(rows, [Stretch(tuple(labels), 0, frames)])
    assert probability == pytest.approx(slow_probability(rows, tuple(labels)), rel=1e-4, abs=1e-9)


@given(st.integers(0, 99), st.integers(1, 2 * GROUP + 1))
def test_stretches_do_not_disturb_each_other(seed, count):
    rows, draw = posteriors(30, seed), np.random.default_rng(seed)
    stretches = []
    for _ in range(count):
        start = int(draw.integers(25))
        labels = tuple(draw.choice(LETTERS, draw.integers(1, 4)).tolist())
        stretches.append(Stretch(labels, start, int(draw.integers(start + 1, 31))))
    together = found(rows, stretches)
    assert together == pytest.approx([found(rows, [one])[0] for one in stretches])


def test_no_words_have_no_confidences():
    assert found(posteriors(3, 0), []).size == 0
