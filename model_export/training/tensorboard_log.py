"""Training curves for TensorBoard, if it is installed."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

FOLDER = "tensorboard"


def has_tensorboard() -> bool:
    """Whether its files can be written."""
    return find_spec("tensorboard") is not None


class TensorBoardLog(TrainerCallback):
    """Writes every reading: `train/loss`, `train/learning_rate`, `eval/cer`, `train/host_gib`, ...

    Args:
        folder: of the run; the files go into a subfolder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder / FOLDER
        self._writer: Any = None

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Open the files; a resumed run hides what was logged behind its checkpoint."""
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(self._folder, purge_step=state.global_step + 1)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **_: Any,
    ) -> None:
        """Write the readings of this step."""
        if self._writer is None or logs is None:
            return
        for name, value in logs.items():
            group, bare = ("eval", name[5:]) if name.startswith("eval_") else ("train", name)
            self._writer.add_scalar(f"{group}/{bare}", value, state.global_step)

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Close the files."""
        self._writer.close()
        self._writer = None
