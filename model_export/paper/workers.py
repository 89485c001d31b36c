"""Carrying out many experiments side by side, in processes that share a device."""

import multiprocessing
import sys
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path

import torch
from transformers.utils import logging

from model_export.paper.costs import measure_costs, read_cost
from model_export.paper.experiments import Experiment
from model_export.paper.frames import write_frames
from model_export.paper.measure import Deadline
from model_export.paper.outcomes import outcome_path
from model_export.paper.parent import leave_with_parent
from model_export.paper.places import Places
from model_export.paper.sets import read_set
from model_export.paper.trials import carry_out


@dataclass
class Workshop:
    """Carries out experiments, those that are there already excepted.

    Args:
        places: where things lie.
        results: folder of the outcomes.
        jobs: experiments at once.
        deadline: after which none begins that could not end in time.
    """

    places: Places
    results: Path
    jobs: int
    deadline: Deadline
    _longest_s: float = field(default=0.0, init=False)

    def run(self, experiments: Sequence[Experiment], costly: Sequence[Experiment]) -> int:
        """Carry them out in their order, as far as their frames are there; how many are left.

        Args:
            experiments: to carry out.
            costly: those of which the cost of a step is measured, before anything else runs.
        """
        waiting = [each for each in dict.fromkeys(experiments) if not self._is_done(each)]
        unmeasured = [each for each in costly if read_cost(self.results, each) is None]
        context = multiprocessing.get_context("forkserver")
        # A server imports all once and makes the workers from itself; it never touches a GPU.
        context.set_forkserver_preload([__name__])
        with ProcessPoolExecutor(self.jobs, context, _begin_worker, (self.jobs,)) as pool:
            if unmeasured:
                pool.submit(measure_costs, unmeasured, self.places, self.results).result()
            self._work(pool, waiting)
        return sum(not self._is_done(each) for each in set(experiments))

    def _work(self, pool: Executor, waiting: list[Experiment]) -> None:
        frames = self._missing_frames(waiting)
        running: dict[Future[None], tuple[str, float]] = {}
        while True:
            while len(running) < self.jobs:
                future, name = self._next(pool, frames, waiting)
                if future is None:
                    break
                running[future] = name, time.monotonic()
            if not running:
                return
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                self._tell(future, *running.pop(future), left=len(waiting) + len(running))

    def _next(
        self, pool: Executor, frames: list[Experiment], waiting: list[Experiment]
    ) -> tuple[Future[None] | None, str]:
        """Begin what can begin: frames first, then the first experiment whose frames are there."""
        if frames and self.deadline.allows():
            first = frames.pop(0)
            name = f"frames of {first.language} for the last {first.depth}"
            return pool.submit(_prepare_frames, first, self.places), name
        ready = next((each for each in waiting if self.places.frames_of(each).exists()), None)
        if ready is None or not self.deadline.allows(self._longest_s):
            return None, ""
        waiting.remove(ready)
        return pool.submit(carry_out, ready, self.places, self.results), ready.name

    def _missing_frames(self, experiments: Sequence[Experiment]) -> list[Experiment]:
        """An experiment for each file of frames that is not there."""
        by_path = {self.places.frames_of(each): each for each in reversed(experiments)}
        return [each for path, each in reversed(by_path.items()) if not path.exists()]

    def _tell(self, future: Future[None], name: str, since_s: float, left: int) -> None:
        taken_s = time.monotonic() - since_s
        if error := future.exception():
            print(f"{name} failed: {error!r}", file=sys.stderr)
            return
        if not name.startswith("frames"):
            self._longest_s = max(self._longest_s, taken_s)
        print(f"{taken_s:6.1f} s  {name}; {left} left", flush=True)

    def _is_done(self, experiment: Experiment) -> bool:
        return outcome_path(self.results, experiment).exists()


def _begin_worker(workers: int) -> None:
    """Make this process one of several that share the machine, until their parent ends."""
    leave_with_parent()
    torch.set_num_threads(max(1, torch.get_num_threads() // workers))
    logging.disable_progress_bar()


def _prepare_frames(experiment: Experiment, places: Places) -> None:
    """Compute the hidden frames that an experiment needs, of its whole set."""
    clips = read_set(places.sets, experiment.language)
    path, layer = places.frames_of(experiment), places.first_layer(experiment)
    write_frames(path, places.base, clips, layer)
