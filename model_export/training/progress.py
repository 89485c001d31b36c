"""What a training run shows: time left, loss, speed, error rates and peak memory."""

import sys
import time
from pathlib import Path
from typing import Any

from tqdm import tqdm
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from model_export.training.tensorboard_log import TensorBoardLog, has_tensorboard

READINGS = (
    ("loss", "loss {:.3f}"),
    ("speed", "{:.0f} s audio/s"),
    ("eval_loss", "dev loss {:.3f}"),
    ("eval_wer", "WER {:.1f} %"),
    ("eval_cer", "CER {:.1f} %"),
    ("host_gib", "peak {:.2f} GiB"),
    ("cuda_gib", "GPU {:.2f} GiB"),
    ("cuda_reserved_gib", "reserved {:.2f} GiB"),
)


def reporting_callbacks(folder: Path) -> list[TrainerCallback]:
    """All that reports on a run; for one process only.

    A bar on a terminal, plain lines elsewhere; and TensorBoard's files where it is installed.

    Args:
        folder: of the run.
    """
    shown = ProgressBar() if sys.stdout.isatty() else ProgressLines()
    return [shown, TensorBoardLog(folder)] if has_tensorboard() else [shown]


class ProgressBar(TrainerCallback):
    """One bar over all steps; what an evaluation finds gets a line of its own."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._readings: dict[str, float] = {}

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Open the bar where training stands."""
        self._bar = tqdm(
            total=state.max_steps, initial=state.global_step, desc=_name_of(args), unit="step"
        )

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Advance."""
        self._bar.update(state.global_step - self._bar.n)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **_: Any,
    ) -> None:
        """Show the readings in the bar."""
        if self._bar is None or logs is None:
            return
        if "eval_loss" in logs:
            self._bar.write(f"step {state.global_step}: {_in_words(logs)}")
        self._readings |= logs
        self._bar.set_postfix_str(_in_words(self._readings))

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Close the bar."""
        self._bar.close()
        self._bar = None


class ProgressLines(TrainerCallback):
    """A line for every log and every evaluation, for files and schedulers."""

    def __init__(self) -> None:
        self._training = False
        self._began_s = 0.0
        self._began_step = 0

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Remember where training stands."""
        self._training = True
        self._began_s, self._began_step = time.monotonic(), state.global_step

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **_: Any,
    ) -> None:
        """Print the readings."""
        if self._training and logs is not None and logs.keys() & {"loss", "eval_loss"}:
            place = f"{_name_of(args)} step {state.global_step}/{state.max_steps}"
            sys.stdout.write(f"{place}, {self._time_left(state)} left: {_in_words(logs)}\n")
            sys.stdout.flush()

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Fall silent: what follows is not training."""
        self._training = False

    def _time_left(self, state: TrainerState) -> str:
        steps = max(1, state.global_step - self._began_step)
        step_s = (time.monotonic() - self._began_s) / steps
        return str(tqdm.format_interval(step_s * (state.max_steps - state.global_step)))


def _name_of(args: TrainingArguments) -> str:
    return Path(args.output_dir or "train").name


def _in_words(logs: dict[str, float]) -> str:
    return ", ".join(form.format(logs[name]) for name, form in READINGS if name in logs)
