"""Alternatives measured in turn, so that a drifting machine hits all alike, and what that says."""

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from tests.benchmarks import options

T = TypeVar("T")
FEWEST_FOR_INTERVAL = 6  # below, the range of all values covers the median less than 95 %


@dataclass(frozen=True)
class Estimate:
    """A quantile with its 95 % interval by order statistics; below six values, their range."""

    value: float
    low: float
    high: float
    count: int

    def __format__(self, form: str) -> str:
        value, low, high = (format(one, form) for one in (self.value, self.low, self.high))
        if self.count == 1:
            return value
        if self.count < FEWEST_FOR_INTERVAL:
            return f"{value} (range {low}-{high})"
        return f"{value} [{low}, {high}]"


def estimate(values: Sequence[float], quantile: float = 0.5) -> Estimate:
    """Estimate a quantile, 0 to 1; an interval that reaches the largest value may reach further."""
    ordered, count = sorted(values), len(values)
    if count == 1:
        return Estimate(ordered[0], ordered[0], ordered[0], 1)
    value = statistics.quantiles(ordered, n=1000, method="inclusive")[round(quantile * 1000) - 1]
    if count < FEWEST_FOR_INTERVAL:
        return Estimate(value, ordered[0], ordered[-1], count)
    reach = 1.96 * math.sqrt(count * quantile * (1 - quantile))
    low = max(1, math.floor(count * quantile - reach))
    high = min(count, math.ceil(count * quantile + reach) + 1)
    return Estimate(value, ordered[low - 1], ordered[high - 1], count)


def ratios(numerators: Sequence[float], denominators: Sequence[float]) -> Estimate:
    """Median of the ratios within each round."""
    return estimate([a / b for a, b in zip(numerators, denominators, strict=True)])


def interleave(
    alternatives: Mapping[str, Callable[[], T]], *, rounds: int, budget_s: float = math.inf
) -> dict[str, list[T]]:
    """Run all alternatives, round after round, each round beginning with another one.

    Args:
        alternatives: what to run, by name.
        rounds: how often at most.
        budget_s: no further round begins that would, at the pace so far, pass it. It is scaled by
            `BENCH_BUDGET`; one round always runs.

    Returns:
        What each gave, round by round.
    """
    names = list(alternatives)
    results: dict[str, list[T]] = {name: [] for name in names}
    start_s = time.monotonic()
    for done in range(rounds):
        elapsed_s = time.monotonic() - start_s
        if done and elapsed_s * (done + 1) / done > budget_s * options.BUDGET:
            break
        first = done % len(names)
        for name in names[first:] + names[:first]:
            results[name].append(alternatives[name]())
    return results


@dataclass(frozen=True)
class Pairs:
    """Seconds of two alternatives, measured in turn."""

    first_s: list[float]
    second_s: list[float]

    @property
    def ratio(self) -> float:
        """Median over pairs of how many times longer the second takes."""
        return ratios(self.second_s, self.first_s).value

    def __str__(self) -> str:
        first, second = statistics.median(self.first_s), statistics.median(self.second_s)
        ratio = ratios(self.second_s, self.first_s)
        return f"{first * 1e3:8.1f} ms  {second * 1e3:8.1f} ms  ratio {ratio:.2f}"


def time_pairs(first: Callable[[], object], second: Callable[[], object], pairs: int) -> Pairs:
    """Run both once to warm up, then `pairs` times in turn."""
    first(), second()
    timed = {"first": lambda: seconds_of(first), "second": lambda: seconds_of(second)}
    measured = interleave(timed, rounds=pairs)
    return Pairs(measured["first"], measured["second"])


def seconds_of(call: Callable[[], object]) -> float:
    """How long a call takes."""
    start_s = time.perf_counter()
    call()
    return time.perf_counter() - start_s
