"""What `wsm-export paper` can be told."""

import argparse
import math
from pathlib import Path

from model_export.arguments import count
from model_export.paper.results import slug
from model_export.paper.shapes import SHAPES
from model_export.paper.table_arguments import RESULTS, add_sets, add_tables

MEMORY_EPILOG = """
What was measured is kept and not measured again when the same command is given again; results of
several devices may lie in one folder. --render draws the page and its plots from all of them.
"""


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add them to a parser."""
    parts = command.add_subparsers(required=True, dest="part", metavar="PART")
    _add_memory(parts.add_parser("memory", help="memory and time at true dimensions"))
    add_sets(parts.add_parser("sets", help="the real speech that the tables are about"))
    add_tables(parts.add_parser("tables", help="error rates of mixers, languages and readers"))


def _add_memory(command: argparse.ArgumentParser) -> None:
    command.epilog = MEMORY_EPILOG
    add = command.add_argument
    add("--device", default="auto", choices=("auto", "cpu", "cuda"), help="(%(default)s)")
    add(
        "--out",
        default=RESULTS / "memory",
        type=Path,
        metavar="DIR",
        help="of the JSON (results/memory beside this code)",
    )
    add(
        "--shapes",
        type=_shapes,
        metavar="NAME,...",
        help=f"of {', '.join(map(slug, SHAPES))}; all by default",
    )
    add("--lengths", type=_lengths, metavar="S,...", help="of clips to train on, in seconds")
    add("--inference-lengths", type=_lengths, metavar="S,...", help="of clips to recognise")
    add("--only", choices=("training", "inference"), help="one of the two tasks")
    add("--batch", type=count, metavar="N", help="clips in a training step (4; on a CPU 1)")
    add("--limit-s", default=math.inf, type=float, metavar="S", help="stop after that many seconds")
    add("--quick", action="store_true", help="a tiny model and short clips")
    add("--render", action="store_true", help="measure nothing; write the page and its plots")
    add(
        "--page",
        default=RESULTS,
        type=Path,
        metavar="DIR",
        help="where to (results beside this code)",
    )


def _shapes(text: str) -> tuple[str, ...]:
    by_name = {slug(name): name for name in SHAPES}
    names = [slug(name) for name in text.split(",")]
    if unknown := [name for name in names if name not in by_name]:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is none of: {', '.join(SHAPES)}")
    return tuple(by_name[name] for name in names)


def _lengths(text: str) -> tuple[float, ...]:
    lengths_s = tuple(float(part) for part in text.split(","))
    if not all(1 <= length_s < math.inf for length_s in lengths_s):
        raise argparse.ArgumentTypeError(f"{text}: lengths are at least 1 s")
    return lengths_s
