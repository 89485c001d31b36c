"""Going on with a run that was stopped, and refusing to go on with another one."""

import contextlib
import fcntl
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from model_export.errors import CheckpointInvalid
from model_export.training.ranks import this_process

RUN_FILE = "run.json"
LOCK_FILE = "run.lock"
SEAL_FILE = "sealed.json"


@contextlib.contextmanager
def sole_user(folder: Path) -> Iterator[None]:
    """Keep others from training into a folder at once, such as what a killed torchrun left behind.

    Raises:
        CheckpointInvalid: another process does.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK_FILE).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise CheckpointInvalid(f"another process is training into {folder}") from error
        yield


def claim_run(folder: Path, options: dict[str, Any]) -> None:
    """Note what a run was started with, or check that it is still the same.

    Args:
        folder: of the run.
        options: all that shapes its result, as JSON values.

    Raises:
        CheckpointInvalid: the folder holds a run with other options.
    """
    path = folder / RUN_FILE
    wanted = json.loads(json.dumps(options))
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        _write_whole(path, wanted)
        return
    found = json.loads(path.read_text())
    for name in sorted(found.keys() | wanted.keys()):
        if found.get(name) != wanted.get(name):
            raise CheckpointInvalid(
                f"{folder} holds a run with {name} {found.get(name)!r}, not {wanted.get(name)!r}; "
                "choose another folder"
            )


class CheckpointSeal(TrainerCallback):
    """Seals each of the Trainer's checkpoints once all processes have written their part."""

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Seal the checkpoint of this step."""
        this_process().wait_for_everyone()
        if state.is_world_process_zero:
            seal(Path(args.output_dir or "") / f"{PREFIX_CHECKPOINT_DIR}-{state.global_step}")


def seal(checkpoint: Path) -> None:
    """Note that a checkpoint is whole, and which files of which size belong to it."""
    sizes = {file.name: file.stat().st_size for file in checkpoint.iterdir() if file.is_file()}
    sizes.pop(SEAL_FILE, None)
    _write_whole(checkpoint / SEAL_FILE, sizes)


def newest_checkpoint(folder: Path) -> str | None:
    """Newest of the Trainer's checkpoints that is whole, if there is one.

    A process that is killed while it saves leaves one without a seal; one that is killed while it
    deletes an old one, a seal whose files are gone.
    """
    candidates = folder.glob(f"{PREFIX_CHECKPOINT_DIR}-*")
    for candidate in sorted(candidates, key=_step, reverse=True):
        if _is_whole(candidate):
            return str(candidate)
    return None


def _step(checkpoint: Path) -> int:
    return int(checkpoint.name.rpartition("-")[2])


def _is_whole(checkpoint: Path) -> bool:
    try:
        sizes = json.loads((checkpoint / SEAL_FILE).read_bytes())
        return all((checkpoint / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError):
        return False


def _write_whole(path: Path, content: dict[str, Any]) -> None:
    """Write a file that is there as a whole or not at all."""
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(content, indent=2) + "\n")
    partial.replace(path)
