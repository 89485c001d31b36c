"""The statistics that the benchmarks print."""

import random
from types import SimpleNamespace

import pytest

from tests.benchmarks import options, timing
from tests.benchmarks.timing import estimate, interleave, ratios


def test_a_median_has_its_interval_by_order_statistics():
    found = estimate([11, 3, 5, 7, 1, 9, 2, 4, 6, 8, 10])
    assert (found.value, found.low, found.high, found.count) == (6, 2, 10, 11)
    assert f"{found:.0f}" == "6 [2, 10]"


def test_few_values_give_their_range_and_one_gives_itself():
    assert f"{estimate([3, 1, 2]):.1f}" == "2.0 (range 1.0-3.0)"
    assert f"{estimate([3]):.1f}" == "3.0"


def test_intervals_cover_the_true_quantile_as_often_as_they_say():
    draw = random.Random(0)
    for quantile, size in ((0.5, 11), (0.95, 200), (0.99, 1000)):
        samples = [[draw.random() for _ in range(size)] for _ in range(200)]
        intervals = [estimate(sample, quantile) for sample in samples]
        covering = sum(one.low <= quantile <= one.high for one in intervals)
        assert covering / len(intervals) > 0.92


def test_ratios_are_taken_within_rounds():
    assert ratios([10, 200, 30], [5, 100, 10]).value == 2


def test_every_round_begins_with_another_alternative():
    order = []
    runs = {name: lambda name=name: order.append(name) for name in "abc"}
    interleave(runs, rounds=3)
    assert "".join(order) == "abcbcacab"


@pytest.mark.parametrize(("budget_s", "rounds"), [(1, 1), (40, 4), (1000, 5)])
def test_no_round_begins_that_would_pass_the_budget(monkeypatch, budget_s, rounds):
    clock = SimpleNamespace(now_s=0.0, monotonic=lambda: clock.now_s)
    monkeypatch.setattr(timing, "time", clock)
    monkeypatch.setattr(options, "BUDGET", 1.0)

    def run():
        clock.now_s += 10

    assert len(interleave({"only": run}, rounds=5, budget_s=budget_s)["only"]) == rounds
