"""Rates and differences of rows whose errors are known."""

import pytest
from paper_outcomes import outcome_of

from model_export.paper.comparing import difference, has_test, rate_of, spread
from model_export.paper.experiments import Setting

SETTING = Setting()


def row(mixer, *runs):
    return [
        outcome_of(SETTING.experiment(mixer, seed=seed), errors) for seed, errors in enumerate(runs)
    ]


def test_runs_that_differ_by_seed_count_as_their_mean():
    wsm = row("wsm", [2, 4, 6, 8], [4, 6, 8, 10])

    found = rate_of(wsm, "all", "characters")
    assert found.percent == pytest.approx(6)
    assert 3 <= found.low < 5
    assert 7 < found.high <= 9
    assert rate_of(wsm, "all", "words").percent == pytest.approx(60)
    assert spread(wsm, "all") == pytest.approx(2**0.5)
    assert spread(wsm[:1], "all") == 0


@pytest.mark.parametrize(
    ("theirs", "percent", "is_told_apart"),
    [([4, 6, 8, 10], -2, True), ([1, 5, 6, 8], 0, False), ([2, 4, 6, 8], 0, False)],
)
def test_a_difference_is_of_the_same_clips(theirs, percent, is_told_apart):
    found = difference(row("wsm", [2, 4, 6, 8]), row("sm", theirs), "all")
    assert found.percent == pytest.approx(percent)
    assert found.is_told_apart is is_told_apart


def test_what_was_not_tested_has_no_rate():
    assert has_test(row("wsm", [1]), "all")
    assert not has_test(row("wsm", []), "all")
    assert not has_test(row("wsm", [1]), "tuxpaint")
