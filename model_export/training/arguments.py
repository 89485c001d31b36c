"""What `wsm-export finetune` can be told."""

import argparse
from pathlib import Path
from typing import get_args

from model_export.arguments import DATA_HELP, add_text, count
from model_export.mixing.freezing import ALSO_TRAIN
from model_export.training.precision import PRECISIONS
from service.bundle import Mixer, WindowWeights

DEFAULT_BASE = "openai/whisper-tiny.en"
DEFAULT_CACHE = Path("runs/cache")
DEFAULT_WINDOW_FRAMES = 8
DEFAULT_CHUNK_FRAMES = 16
EPILOG = """
A run that was stopped, by Ctrl-C, SIGTERM or a crash, goes on when the same command is given again.
Several GPUs: torchrun --nproc-per-node 4 -m model_export.cli finetune ...; several machines need
--out and --cache-features on a disk that they share. Curves: tensorboard --logdir OUT.
"""


def add_finetune(command: argparse.ArgumentParser) -> None:
    """Add them to a parser."""
    command.epilog = EPILOG
    _add_data(command.add_argument_group("data"))
    add_text(command.add_argument_group("text"))
    _add_model(command.add_argument_group("model"))
    _add_training(command.add_argument_group("training"))
    _add_cost(command.add_argument_group("speed and memory"))
    record = command.add_argument_group("record").add_argument
    record("--out", required=True, type=Path, help="checkpoint folder; an old run there goes on")


def _add_data(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    for flag, what in (("--train", DATA_HELP), ("--dev", "chooses the best checkpoint")):
        add(
            flag,
            required=True,
            action="append",
            metavar="DATA[#SPLIT]",
            help=f"{what}; may be repeated",
        )
    add("--copies", default=1, type=count, help="entries per clip, all but one augmented")
    add(
        "--augment-batches",
        action="store_true",
        help="augment every batch on the device that learns from it: for GPUs, without a cache",
    )
    add(
        "--trust-manifest",
        action="store_true",
        help="do not open every recording before training",
    )
    add(
        "--vocabulary",
        type=Path,
        metavar="FILE",
        help="one character a line, instead of the text's",
    )


def _add_model(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--base", default=DEFAULT_BASE, help="folder or hub name (%(default)s)")
    add("--revision", help="branch, tag or commit of a hub name (its main branch)")
    add("--start", type=Path, metavar="CHECKPOINT", help="whose trained tensors to begin with")
    add("--add", metavar="N", default=0, type=int, help="copies of the last layer, on top (0)")
    add("--replace", default="last:2", help="last:N, all, or a list such as 2,3 (%(default)s)")
    add("--mixer", default="wsm", choices=get_args(Mixer))
    add(
        "--window", default=DEFAULT_WINDOW_FRAMES, type=int, help="half window (%(default)s frames)"
    )
    add(
        "--window-weights",
        default="mean",
        choices=get_args(WindowWeights),
        help="learned: of each feature and distance (%(default)s)",
    )
    add("--streaming", action="store_true", help="for live audio; needs --replace all")
    add(
        "--chunk",
        default=DEFAULT_CHUNK_FRAMES,
        type=count,
        metavar="FRAMES",
        help="of a stream; training draws others too (%(default)s)",
    )
    add(
        "--init",
        default="random",
        choices=("random", "match", "distil"),
        help="match imitates attention first; distil then all layers of the base",
    )
    add("--also-train", default=[], action="append", choices=ALSO_TRAIN, help="may be repeated")


def _add_training(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--epochs", default=10.0, type=float, help="passes over the clips (%(default)s)")
    add("--max-steps", type=count, metavar="N", help="optimiser steps, instead of --epochs")
    add("--match-epochs", default=2.0, type=float, help="passes of --init match (%(default)s)")
    add("--distil-epochs", default=2.0, type=float, help="passes of --init distil (%(default)s)")
    add("--learning-rate", default=5e-4, type=float, help="highest (%(default)s)")
    add("--clip-norm", default=1.0, type=float, help="longest gradient (%(default)s)")
    add(
        "--patience",
        type=count,
        metavar="N",
        help="stop after N evaluations without a better CER",
    )
    add(
        "--evaluations",
        default=20,
        type=count,
        metavar="N",
        help="of a run, each with a checkpoint (%(default)s)",
    )
    add("--time-masks", default=2, type=int, help="of SpecAugment, per clip (%(default)s)")
    add("--width-masks", default=2, type=int, help="of SpecAugment, per clip (%(default)s)")
    add("--no-spec-augment", action="store_true", help="mask nothing")
    add("--seed", default=0, type=int, help="of weights, order and masks (%(default)s)")


def _add_cost(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--batch-seconds", default=120.0, type=float, help="padded audio in a batch (%(default)s)")
    add(
        "--accumulate",
        default=1,
        type=count,
        metavar="N",
        help="learn from N batches at once, in the memory of one",
    )
    add(
        "--precision",
        default="auto",
        choices=("auto", *PRECISIONS),
        help="auto: bf16 where it is fast, else fp16 on a GPU, fp32 on a CPU",
    )
    add(
        "--cache-features",
        nargs="?",
        const=DEFAULT_CACHE,
        type=Path,
        metavar="DIR",
        help=f"compute the frozen part once and keep it ({DEFAULT_CACHE})",
    )
