"""Error rates of rows of a table with their intervals, and of one row against another.

Runs of a row that differ by seed alone count as one: errors of a clip are their mean. Intervals are
bootstrapped over clips, and tell nothing of other speakers.
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from model_export.paper.outcomes import ClipErrors, Outcome
from model_export.scoring import bootstrap_interval

Unit = Literal["characters", "words"]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Rate:
    """An error rate, or a difference of two, in percent.

    Attributes:
        percent: of all clips together.
        low: lower end of the 95 % interval.
        high: upper end.
    """

    percent: float
    low: float
    high: float

    @property
    def is_told_apart(self) -> bool:
        """Of a difference: whether its interval leaves zero out."""
        return self.low > 0 or self.high < 0


def rate_of(outcomes: Sequence[Outcome], part: str, unit: Unit) -> Rate:
    """Error rate of a row on a part of its set."""
    return _rate(_errors(outcomes, part, unit), _sizes(outcomes[0], part, unit))


def difference(
    ours: Sequence[Outcome], theirs: Sequence[Outcome], part: str, unit: Unit = "characters"
) -> Rate:
    """Our rate less theirs, on the same clips."""
    errors = _errors(ours, part, unit) - _errors(theirs, part, unit)
    return _rate(errors, _sizes(ours[0], part, unit))


def spread(outcomes: Sequence[Outcome], part: str) -> float:
    """Standard deviation over seeds of the character error rate, in percent; 0 of one run."""
    rates = [_clip_errors(outcome, part).cer_percent for outcome in outcomes]
    return statistics.stdev(rates) if len(rates) > 1 else 0.0


def has_test(outcomes: Sequence[Outcome], part: str) -> bool:
    """Whether a row was tested on a part, and that has clips."""
    tests = [outcome.test(part) for outcome in outcomes]
    return bool(tests) and all(test is not None and test.errors.words for test in tests)


def _rate(errors: Floats, sizes: Floats) -> Rate:
    low, high = bootstrap_interval(errors, sizes)
    return Rate(float(100 * errors.sum() / sizes.sum()), low, high)


def _errors(outcomes: Sequence[Outcome], part: str, unit: Unit) -> Floats:
    """Mean errors of each clip over runs."""
    runs = [_clip_errors(outcome, part) for outcome in outcomes]
    by_run = [run.character_errors if unit == "characters" else run.word_errors for run in runs]
    means: Floats = np.array(by_run, dtype=np.float64).mean(axis=0)
    return means


def _sizes(outcome: Outcome, part: str, unit: Unit) -> Floats:
    errors = _clip_errors(outcome, part)
    return np.array(errors.characters if unit == "characters" else errors.words, dtype=np.float64)


def _clip_errors(outcome: Outcome, part: str) -> ClipErrors:
    return next(test.errors for test in outcome.tests if test.part == part)
