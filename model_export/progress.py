"""The training progress bar: loss, error rates, speed and peak memory."""

from pathlib import Path
from typing import Any

from tqdm import tqdm
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from model_export.memory import peak_memory_bytes

READINGS = (
    ("loss", "loss", "{:.3f}"),
    ("speed", "speed", "{:.0f}x"),
    ("eval_wer", "WER", "{:.1f}%"),
    ("eval_cer", "CER", "{:.1f}%"),
)


class ProgressBar(TrainerCallback):
    """One bar over all steps: loss, speed, memory and, once measured, error rates."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._shown: dict[str, str] = {}

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Open the bar where training stands."""
        name = Path(args.output_dir or "train").name
        self._bar = tqdm(total=state.max_steps, initial=state.global_step, desc=name, unit="step")

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
        """Show the loss in the bar, and what was measured on a line of its own."""
        if self._bar is None or logs is None:
            return
        if "eval_loss" in logs:
            self._bar.write(_summary(state.global_step, logs))
        self._shown |= _readings(logs)
        self._bar.set_postfix(self._shown)

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Close the bar."""
        self._bar.close()
        self._bar = None


def _readings(logs: dict[str, float]) -> dict[str, str]:
    shown = {"memory": _peak_memory()}
    for name, label, form in READINGS:
        if name in logs:
            shown[label] = form.format(logs[name])
    return shown


def _summary(step: int, logs: dict[str, float]) -> str:
    parts = [f"step {step}: dev loss {logs['eval_loss']:.3f}"]
    if "eval_wer" in logs:
        parts.append(f"WER {logs['eval_wer']:.1f} %, CER {logs['eval_cer']:.1f} %")
    return ", ".join([*parts, f"peak memory {_peak_memory()}"])


def _peak_memory() -> str:
    return f"{peak_memory_bytes() / 2**30:.2f}GiB"
