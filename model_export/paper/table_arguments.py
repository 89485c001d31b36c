"""What `wsm-export paper sets` and `paper tables` can be told."""

import argparse
import math
from pathlib import Path
from typing import get_args

from model_export.arguments import count, positive
from model_export.paper.experiments import (
    FIRST_LANGUAGE,
    OTHER_LANGUAGES,
    TABLES,
    AudioForm,
    Setting,
    Table,
)

RESULTS = Path(__file__).parent / "results"
DATA = Path("data/paper")
TABLES_EPILOG = """
An outcome that is there is not computed again, so the same command goes on where it was stopped.
Sets that are not there are made from Debian's packages first.
"""


def add_sets(command: argparse.ArgumentParser) -> None:
    """Add what tells how sets are made."""
    _add_folders(command)
    add = command.add_argument
    add("--languages", default=(FIRST_LANGUAGE, *OTHER_LANGUAGES), type=_names, metavar="CODE,...")
    add("--list", type=Path, metavar="FILE", help="JSONL of the same clips: tell what differs")


def add_tables(command: argparse.ArgumentParser) -> None:
    """Add what tells which experiments are done, where, and how."""
    command.epilog = TABLES_EPILOG
    _add_folders(command)
    add = command.add_argument
    default = Setting()
    add("--base", default="openai/whisper-base", help="folder or hub name (%(default)s)")
    add("--only", default=TABLES, type=_tables, metavar="TABLE,...", help=f"of {', '.join(TABLES)}")
    add("--out", default=RESULTS / "tables", type=Path, metavar="DIR", help="of the JSON")
    add("--cache", default=DATA / "frames", type=Path, metavar="DIR", help="of hidden frames")
    add("--jobs", default=1, type=count, metavar="N", help="experiments at once (%(default)s)")
    add("--limit-s", default=math.inf, type=positive, metavar="S", help="end after so many seconds")
    add("--languages", default=OTHER_LANGUAGES, type=_names, metavar="CODE,...")
    add("--learning-rate", default=default.learning_rate, type=positive, help="(%(default)g)")
    add("--steps", default=default.steps, type=count, help="of AdamW (%(default)s)")
    add("--batch-s", default=default.batch_s, type=positive, help="in a step (%(default)g)")
    add("--window", default=default.window_frames, type=int, metavar="FRAMES", help="(%(default)s)")
    add("--seeds", default=len(default.seeds), type=count, metavar="N", help="(%(default)s)")
    add("--render", action="store_true", help="train nothing; write the page")
    add("--page", default=RESULTS, type=Path, metavar="DIR", help="where to")


def _add_folders(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("--packages", default=DATA / "packages", type=Path, metavar="DIR", help="(%(default)s)")
    add("--sets", default=DATA / "sets", type=Path, metavar="DIR", help="(%(default)s)")
    forms = get_args(AudioForm)
    add("--audio", default="flac", choices=forms, help="how sets are stored (%(default)s)")


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split(","))


def _tables(text: str) -> tuple[Table, ...]:
    if unknown := [name for name in text.split(",") if name not in TABLES]:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is none of: {', '.join(TABLES)}")
    return tuple(table for table in TABLES if table in text.split(","))
