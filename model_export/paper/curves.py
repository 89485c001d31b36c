"""What curves over length say: how steep they are, and how far one lies below another."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from model_export.paper.results import DeviceResults, Figures, Measurement
from model_export.paper.shapes import Task

Point = tuple[float, float]


@dataclass(frozen=True)
class Curve:
    """A subject over length.

    Attributes:
        subject: by name.
        measurements: by length, the shortest first.
    """

    subject: str
    measurements: dict[float, Measurement]

    def figures(self, length_s: float) -> Figures | None:
        """Measured at a length, if it was and did not fail."""
        found = self.measurements.get(length_s)
        return found.figures if found else None

    @property
    def seconds(self) -> list[Point]:
        """Time over length."""
        return [(at, one.seconds) for at, one in self._measured()]

    @property
    def peak_gb(self) -> list[Point]:
        """Peak memory over length."""
        return [(at, one.peak_bytes / 1e9) for at, one in self._measured()]

    @property
    def growth_gb(self) -> list[Point]:
        """Peak memory beyond what is there before a step, over length."""
        return [(at, (one.peak_bytes - one.resting_bytes) / 1e9) for at, one in self._measured()]

    def _measured(self) -> list[tuple[float, Figures]]:
        found = ((at, one.figures) for at, one in self.measurements.items())
        return [(at, figures) for at, figures in found if figures is not None]


@dataclass(frozen=True)
class Comparison:
    """Subjects measured alike: a shape, a task, a batch.

    Attributes:
        shape: whose dimensions the model has.
        task: a training step, or a pass.
        batch: clips.
        curves: in the order of measuring.
    """

    shape: str
    task: Task
    batch: int
    curves: tuple[Curve, ...]

    @property
    def lengths_s(self) -> list[float]:
        """All lengths of which something is known."""
        return sorted({length_s for curve in self.curves for length_s in curve.measurements})

    def curve(self, subject: str) -> Curve | None:
        """Of a subject, if it was measured."""
        return next((curve for curve in self.curves if curve.subject == subject), None)


def comparisons(results: DeviceResults) -> list[Comparison]:
    """All that can be compared on a device."""
    grouped: dict[tuple[str, Task, int], dict[str, dict[float, Measurement]]] = {}
    for one in results.measurements:
        subjects = grouped.setdefault((one.shape, one.task, one.batch), {})
        subjects.setdefault(one.subject, {})[one.length_s] = one
    return [
        Comparison(
            *alike,
            tuple(Curve(name, dict(sorted(found.items()))) for name, found in subjects.items()),
        )
        for alike, subjects in grouped.items()
    ]


def slope(points: Sequence[Point]) -> float | None:
    """Exponent p of y = c x^p, fitted to the longer half of a curve by least squares of logarithms.

    Args:
        points: x and y, above 0.

    Returns:
        None with fewer than two points.
    """
    longest = sorted(points)[min(len(points) // 2, max(0, len(points) - 2)) :]
    if len(longest) < 2:
        return None
    xs, ys = ([math.log(point[axis]) for point in longest] for axis in (0, 1))
    return statistics.linear_regression(xs, ys).slope


def memory_ratio(ours: Curve, other: Curve, length_s: float) -> float | None:
    """Our peak memory as a share of another's at a length; None unless both are known."""
    mine, theirs = ours.figures(length_s), other.figures(length_s)
    return mine.peak_bytes / theirs.peak_bytes if mine and theirs else None


def time_ratio(ours: Curve, other: Curve, length_s: float) -> float | None:
    """Our time as a share of another's at a length; None unless both are known."""
    mine, theirs = ours.figures(length_s), other.figures(length_s)
    return mine.seconds / theirs.seconds if mine and theirs else None
