"""`wsm-export`: the command line of the offline half."""

import argparse
import sys
from pathlib import Path
from typing import get_args

from model_export.errors import ExportError
from model_export.freezing import ALSO_TRAIN
from service.bundle import Mixer, Runtime
from service.errors import ServiceError

DEFAULT_BASE = "openai/whisper-tiny.en"
DEFAULT_CACHE = Path("runs/cache")
DEFAULT_WINDOW_FRAMES = 8


def main(arguments: list[str] | None = None) -> int:
    """Run a subcommand; errors the user can mend are one line and exit status 2."""
    options = _parser().parse_args(arguments)
    # Imported here: torch and transformers take seconds, which help and usage errors need not.
    from model_export import commands

    try:
        getattr(commands, options.command)(options)
    except (ExportError, ServiceError) as error:
        print(f"wsm-export: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="wsm-export", description=__doc__)
    subcommands = parser.add_subparsers(required=True, dest="command", metavar="COMMAND")
    _add_finetune(subcommands.add_parser("finetune", help="swap attention and fine-tune"))
    _add_evaluate(subcommands.add_parser("evaluate", help="score a checkpoint or a bundle"))
    _add_export(subcommands.add_parser("export", help="write a bundle, if its variants agree"))
    inspect = subcommands.add_parser("inspect", help="verify a bundle and print what it is")
    inspect.add_argument("bundle", type=Path)
    return parser


def _add_finetune(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("--base", default=DEFAULT_BASE, help="folder or hub name (%(default)s)")
    add("--revision", help="branch, tag or commit of a hub name (its main branch)")
    add("--train", required=True, metavar="MANIFEST[#SPLIT]", help="JSONL, CSV or TSV")
    add("--dev", required=True, metavar="MANIFEST[#SPLIT]", help="chooses the best epoch")
    add("--out", required=True, type=Path, help="checkpoint folder; an old run there goes on")
    add("--start", type=Path, metavar="CHECKPOINT", help="of the same kind, to begin with")
    add("--replace", default="last:2", help="last:N, all, or a list such as 2,3 (%(default)s)")
    add("--mixer", default="wsm", choices=get_args(Mixer))
    add(
        "--window", default=DEFAULT_WINDOW_FRAMES, type=int, help="half window (%(default)s frames)"
    )
    add(
        "--init",
        default="random",
        choices=("random", "match"),
        help="match imitates attention first",
    )
    add("--match-epochs", default=2.0, type=float, help="passes of --init match (%(default)s)")
    add("--also-train", default=[], action="append", choices=ALSO_TRAIN)
    add("--language", default=[], action="append", help="code to record, such as en")
    add("--epochs", default=10.0, type=float)
    add("--learning-rate", default=5e-4, type=float)
    add("--batch-seconds", default=120.0, type=float, help="padded audio in a batch (%(default)s)")
    add("--copies", default=1, type=int, help="entries per clip, all but one augmented")
    add("--seed", default=0, type=int)
    add(
        "--vocabulary",
        type=Path,
        metavar="FILE",
        help="one character a line, instead of the text's",
    )
    add("--keep", default="'", help="characters kept beside letters (%(default)s)")
    add("--cased", action="store_true", help="keep upper case")
    add(
        "--cache-features",
        nargs="?",
        const=DEFAULT_CACHE,
        type=Path,
        metavar="DIR",
        help=f"compute the frozen part once and keep it ({DEFAULT_CACHE})",
    )


def _add_evaluate(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("model", type=Path, help="checkpoint or bundle")
    add("manifest", metavar="MANIFEST[#SPLIT]")
    add("--base", help="where the checkpoint's base lies now")
    add("--min-seconds", default=0.0, type=float, help="leave shorter clips out")
    add("--name", help="of the test set, for the record")
    add("--note", default="", help="for the record")
    add("--json", type=Path, metavar="FILE", help="write the record, for export --measured")
    add("--hypotheses", type=Path, metavar="FILE", help="write what was recognised, as JSONL")


def _add_export(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("checkpoint", type=Path)
    add("--out", required=True, type=Path, help="bundle folder; must not exist")
    add("--base", help="where the checkpoint's base lies now")
    add("--name", help="of the bundle (its folder's name)")
    add("--summary", default="", help="a sentence for the model card")
    add("--runtime", default=[], action="append", choices=get_args(Runtime), help="all by default")
    add("--weights", default="float32", choices=("float32", "float16"), help="how they are stored")
    add("--longest-pass", type=float, metavar="S", help="cut longer audio, for what training saw")
    add("--clip", default=[], action="append", type=Path, help="recording to check parity on")
    add("--measured", default=[], action="append", type=Path, help="record of evaluate --json")
    add("--data", default=[], action="append", help="training data, for the record")
    add("--base-name", help="of the base, for the record")
    add("--base-licence", default="not stated")
    add("--licence", default="not stated", help="of the weights")


if __name__ == "__main__":
    sys.exit(main())
