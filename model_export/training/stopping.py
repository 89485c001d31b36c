"""When training ends before its schedule: nothing improves any more, or a signal asks for it."""

import contextlib
import json
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer import TRAINER_STATE_NAME

from model_export.training.ranks import any_process

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def has_stalled(history: Sequence[Mapping[str, float]], metric: str, patience: int) -> bool:
    """Whether the last `patience` evaluations brought nothing better than what came before.

    Args:
        history: the Trainer's log, oldest entry first.
        metric: the lower the better.
        patience: evaluations, at least 1.
    """
    values = [entry[metric] for entry in history if metric in entry]
    return bool(values) and len(values) - 1 - values.index(min(values)) >= patience


def had_stalled(checkpoint: str | None, metric: str, patience: int | None) -> bool:
    """Whether the run that wrote a checkpoint had stopped with it since it had stalled."""
    if checkpoint is None or patience is None:
        return False
    state = json.loads((Path(checkpoint) / TRAINER_STATE_NAME).read_bytes())
    return has_stalled(state["log_history"], metric, patience)


class EarlyStopping(TrainerCallback):
    """Ends training that has stalled.

    It remembers nothing itself, so a resumed run stops where the uninterrupted one does.

    Args:
        metric: the lower the better.
        patience: evaluations.
    """

    def __init__(self, metric: str, patience: int) -> None:
        self._metric = metric
        self._patience = patience

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """End training behind the save that follows."""
        if has_stalled(state.log_history, self._metric, self._patience):
            control.should_training_stop = True


class SignalStop(TrainerCallback):
    """Ends training, with a checkpoint, after the step in which one of `SIGNALS` arrived.

    Attributes:
        stopped: whether it did.
    """

    def __init__(self) -> None:
        self.stopped = False
        self._requested = False
        self._previous: dict[int, Any] = {}

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Catch the first signal; a second one does what it would do without us."""
        if threading.current_thread() is not threading.main_thread():
            yield  # only the main thread may set handlers
            return
        self._previous = {number: signal.signal(number, self._receive) for number in SIGNALS}
        try:
            yield
        finally:
            self._restore()

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Ask for a checkpoint and the end; all processes do so at the same step."""
        if any_process(self._requested) and state.global_step < state.max_steps:
            control.should_save = True
            control.should_training_stop = True
            self.stopped = True

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self._requested = True
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
