"""Timing two callables in turn, so that a drifting machine hits both alike."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Pairs:
    """Seconds of two alternatives, measured in turn."""

    first_s: list[float]
    second_s: list[float]

    @property
    def ratio(self) -> float:
        """Median over pairs of how many times longer the second takes."""
        return statistics.median(b / a for a, b in zip(self.first_s, self.second_s, strict=True))

    def __str__(self) -> str:
        first, second = statistics.median(self.first_s), statistics.median(self.second_s)
        return f"{first * 1e3:8.1f} ms  {second * 1e3:8.1f} ms  ratio {self.ratio:.2f}"


def time_pairs(first: Callable[[], object], second: Callable[[], object], pairs: int) -> Pairs:
    """Run both once to warm up, then `pairs` times in turn."""
    first(), second()
    measured = Pairs([], [])
    for _ in range(pairs):
        measured.first_s.append(_seconds(first))
        measured.second_s.append(_seconds(second))
    return measured


def _seconds(call: Callable[[], object]) -> float:
    start_s = time.perf_counter()
    call()
    return time.perf_counter() - start_s
