"""Measuring what training and inference take, subject by subject, each model built once.

What fails is told and stops nothing else. What was measured already is not measured again.
"""

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

import torch

from model_export.encoders.ctc_model import CtcModel
from model_export.errors import one_line
from model_export.paper.devices import free_memory, meter_of
from model_export.paper.results import OUT_OF_MEMORY, Figures, Key, Measurement, ResultsFile
from model_export.paper.shapes import DeviceKind, Plan, Task
from model_export.paper.subjects import SUBJECTS, Subject, model_of, random_model
from model_export.paper.tasks import Learner, Recogniser, Worker

Outcome = TypeVar("Outcome")

ALLOCATION_FAILURES = ("out of memory", "can't allocate memory", "alloc_failed")


@dataclass(frozen=True)
class Series:
    """A subject of one shape in one task, at its lengths."""

    shape: str
    task: Task
    subject: Subject
    batch: int
    lengths_s: tuple[float, ...]

    def key(self, length_s: float) -> Key:
        """Of the measurement at a length."""
        return self.shape, self.task, self.name, self.batch, length_s

    @property
    def name(self) -> str:
        """Of the subject, in this task."""
        return (self.task == "inference" and self.subject.inference) or self.subject.name


def series_of(plan: Plan) -> Iterator[Series]:
    """Everything to measure, the most telling first."""
    for shape in plan.shapes:
        for subject in SUBJECTS:
            lengths_s = plan.training_lengths_s
            yield Series(shape, "training", subject, plan.training_batch, lengths_s)
    for shape in plan.shapes:
        for subject in SUBJECTS:
            if subject.inference is not None:
                yield Series(shape, "inference", subject, 1, plan.inference_lengths_s)


class Deadline:
    """When to stop.

    Args:
        limit_s: from now on.
        clock: gives seconds.
    """

    def __init__(self, limit_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._end_s = clock() + limit_s

    def allows(self, needed_s: float = 0.0) -> bool:
        """Whether that many seconds are left."""
        return self._clock() + needed_s < self._end_s


@dataclass
class Survey:
    """Measures a plan on one device.

    Args:
        plan: what to measure.
        kind: of the device.
        results: where it is kept.
        deadline: after which nothing more begins.
    """

    plan: Plan
    kind: DeviceKind
    results: ResultsFile
    deadline: Deadline
    _bases: dict[str, CtcModel] = field(default_factory=dict)

    def run(self) -> bool:
        """Measure what is left; whether nothing is left after it."""
        finished = [self._measure_series(series) for series in series_of(self.plan)]
        return all(finished)

    def _measure_series(self, series: Series) -> bool:
        left = [each for each in series.lengths_s if not self.results.has(series.key(each))]
        if not left:
            return True
        if not self.deadline.allows():
            return False
        outcome = guarded(lambda: self._subject_at_work(series))
        if isinstance(outcome, str):
            for length_s in left:
                self._keep(series, length_s, outcome, None)
            return outcome == OUT_OF_MEMORY
        complete = self._measure_lengths(series, outcome, left)
        del outcome
        free_memory()
        return complete

    def _measure_lengths(self, series: Series, worker: Worker, lengths_s: list[float]) -> bool:
        meter, last, is_complete = meter_of(self.kind), (0.0, 1.0), True
        for length_s in lengths_s:
            taken_s, taken_at_s = last
            if not self.deadline.allows(taken_s * (length_s / taken_at_s) ** 2):
                return False
            outcome = guarded(lambda: worker.measure(meter, length_s))  # noqa: B023  called at once
            self._keep(series, length_s, outcome, worker)
            if isinstance(outcome, str):
                is_complete = is_complete and outcome == OUT_OF_MEMORY
                worker.forget_gradients()
            else:
                last = (outcome.seconds, length_s)
            free_memory()
        return is_complete

    def _subject_at_work(self, series: Series) -> Worker:
        if series.shape not in self._bases:
            self._bases[series.shape] = random_model(self.plan.shapes[series.shape])
        model = model_of(series.subject, self._bases[series.shape]).to(self.kind)
        if series.task == "training":
            return Learner(model, series.subject, series.batch, self.kind)
        return Recogniser(model, series.batch, self.kind)

    def _keep(
        self, series: Series, length_s: float, outcome: Figures | str, worker: Worker | None
    ) -> None:
        figures = None if isinstance(outcome, str) else outcome
        self.results.add(
            Measurement(
                shape=series.shape,
                task=series.task,
                subject=series.name,
                batch=series.batch,
                length_s=length_s,
                learning=worker.learning if worker else 0,
                kernels=worker.kernels if worker else (),
                figures=figures,
                failure=outcome if isinstance(outcome, str) else None,
            )
        )
        line = f"{series.shape}, {series.task}, {series.name}, {series.batch} x {length_s:g} s"
        print(f"{line}: {_told(outcome)}", file=sys.stderr, flush=True)


def guarded(measure: Callable[[], Outcome]) -> Outcome | str:
    """What a call gives, or what went wrong with it."""
    try:
        return measure()
    except Exception as error:  # noqa: BLE001  one failure is told, and the others are measured
        text = f"{type(error).__name__}: {one_line(error)[:200]}"
        is_memory = isinstance(error, MemoryError | torch.OutOfMemoryError) or any(
            mark in str(error).lower() for mark in ALLOCATION_FAILURES
        )
    free_memory()
    return OUT_OF_MEMORY if is_memory else text


def _told(outcome: Figures | str) -> str:
    if isinstance(outcome, str):
        return outcome
    return f"{outcome.seconds:.3f} s, {outcome.peak_bytes / 1e9:.3f} GB"
