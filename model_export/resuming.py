"""Going on with a run that was stopped, and refusing to go on with another one."""

import json
from pathlib import Path
from typing import Any

from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from model_export.errors import CheckpointInvalid

RUN_FILE = "run.json"


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
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps(wanted, indent=2) + "\n")
        partial.rename(path)
        return
    found = json.loads(path.read_text())
    for name in sorted(found.keys() | wanted.keys()):
        if found.get(name) != wanted.get(name):
            raise CheckpointInvalid(
                f"{folder} holds a run with {name} {found.get(name)!r}, not {wanted.get(name)!r}; "
                "choose another folder"
            )


def newest_checkpoint(folder: Path) -> str | None:
    """Newest of the Trainer's checkpoints that was written to its end, if there is one.

    The Trainer writes its state last, so a process killed while saving leaves none that parses.
    """
    candidates = folder.glob(f"{PREFIX_CHECKPOINT_DIR}-*")
    for candidate in sorted(candidates, key=_step, reverse=True):
        if _is_complete(candidate):
            return str(candidate)
    return None


def _step(checkpoint: Path) -> int:
    return int(checkpoint.name.rpartition("-")[2])


def _is_complete(checkpoint: Path) -> bool:
    try:
        json.loads((checkpoint / TRAINER_STATE_NAME).read_bytes())
    except (OSError, ValueError):
        return False
    return True
