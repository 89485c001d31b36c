"""`wsm-export`: the command line of the offline half."""

import argparse
import sys
from pathlib import Path
from typing import get_args

from model_export.amounts import count, positive
from model_export.errors import ExportError
from model_export.mixing.freezing import ALSO_TRAIN
from model_export.paper.arguments import add_arguments as add_paper
from model_export.synthesis.arguments import add_arguments
from model_export.training.precision import PRECISIONS
from service.bundle import Digits, Mixer, Runtime, WindowWeights
from service.errors import ServiceError
from service.options import Decoding

DEFAULT_BASE = "openai/whisper-tiny.en"
DEFAULT_CACHE = Path("runs/cache")
DEFAULT_WINDOW_FRAMES = 8
DEFAULT_CHUNK_FRAMES = 16
FINETUNE_EPILOG = """
A run that was stopped, by Ctrl-C, SIGTERM or a crash, goes on when the same command is given again.
Several GPUs: torchrun --nproc-per-node 4 -m model_export.cli finetune ...; several machines need
--out and --cache-features on a disk that they share. Curves: tensorboard --logdir OUT.
"""
DATA_HELP = (
    "manifest (JSONL, CSV, TSV), folder (Common Voice, Kaldi, LJSpeech, audiofolder, Parquet, "
    "save_to_disk) or hf:NAME[@REVISION][:CONFIG]"
)


def main(arguments: list[str] | None = None) -> int:
    """Run a subcommand; errors the user can mend are one line and exit status 2."""
    options = _parser().parse_args(arguments)
    try:
        _run(options)
    except (ExportError, ServiceError) as error:
        from model_export.training.ranks import this_process

        if this_process().is_local_main_process:  # once on a machine, not by all of torchrun's
            print(f"wsm-export: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("wsm-export: interrupted", file=sys.stderr)
        return 130
    return 0


def _run(options: argparse.Namespace) -> None:
    # Imported here: torch and transformers take seconds, which help and usage errors need not.
    if options.command == "paper":  # without all that reads and augments speech
        from model_export.paper.command import paper

        paper(options)
        return
    from model_export import commands

    getattr(commands, options.command.replace("-", "_"))(options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="wsm-export", description=__doc__)
    subcommands = parser.add_subparsers(required=True, dest="command", metavar="COMMAND")
    _add_finetune(subcommands.add_parser("finetune", help="swap attention and fine-tune"))
    _add_evaluate(subcommands.add_parser("evaluate", help="score a checkpoint or a bundle"))
    _add_export(subcommands.add_parser("export", help="write a bundle, if its variants agree"))
    _add_check_data(subcommands.add_parser("check-data", help="say what data is, before training"))
    _add_language_model(subcommands.add_parser("language-model", help="n-grams for beam search"))
    add_arguments(subcommands.add_parser("synthesise", help="speak texts, to train on"))
    add_paper(subcommands.add_parser("paper", help="measure the method's claims again"))
    inspect = subcommands.add_parser("inspect", help="verify a bundle and print what it is")
    inspect.add_argument("bundle", type=Path)
    return parser


def _add_finetune(command: argparse.ArgumentParser) -> None:
    command.epilog = FINETUNE_EPILOG
    _add_data(command.add_argument_group("data"))
    _add_text(command.add_argument_group("text"))
    _add_model(command.add_argument_group("model"))
    _add_training(command.add_argument_group("training"))
    _add_cost(command.add_argument_group("speed and memory"))
    record = command.add_argument_group("record").add_argument
    record("--out", required=True, type=Path, help="checkpoint folder; an old run there goes on")


def _add_data(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--train", required=True, metavar="DATA[#SPLIT]", help=DATA_HELP)
    add("--dev", required=True, metavar="DATA[#SPLIT]", help="chooses the best checkpoint")
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
        choices=("random", "match"),
        help="match imitates attention first",
    )
    add("--also-train", default=[], action="append", choices=ALSO_TRAIN, help="may be repeated")


def _add_training(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--epochs", default=10.0, type=float, help="passes over the clips (%(default)s)")
    add("--max-steps", type=count, metavar="N", help="optimiser steps, instead of --epochs")
    add("--match-epochs", default=2.0, type=float, help="passes of --init match (%(default)s)")
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


def _add_text(group: argparse._ArgumentGroup) -> None:
    """How transcripts are normalised; None where nothing is asked, so that --start can be kept."""
    add = group.add_argument
    add("--language", default=[], action="append", help="code such as en; the first rules the text")
    add("--digits", choices=get_args(Digits), help="in texts (default: refuse such texts)")
    add("--cased", action="store_true", help="keep upper case")
    add("--keep", metavar="CHARACTERS", help="kept beside letters (none)")
    add("--keep-inside", metavar="CHARACTERS", help="kept between two letters (')")
    add("--punctuation", action="store_true", help="keep the punctuation of sentences")
    add("--unicode-form", choices=("NFC", "NFKC"), help="NFC by default")


def _add_check_data(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("data", nargs="+", metavar="DATA[#SPLIT]", help=f"{DATA_HELP}; several are compared")
    add("--base", help="whose limits of length to hold clips against")
    add("--revision", help="branch, tag or commit of a hub name (its main branch)")
    add("--json", type=Path, metavar="FILE", help="write everything that was found")
    _add_text(command.add_argument_group("text"))


def _add_decoding(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--language-model",
        type=Path,
        metavar="FILE",
        help="ARPA text, or that as *.gz, to go along",
    )
    weight = "factor of its log10 probabilities; tune it on development data (%(default)s)"
    add("--lm-weight", default=1.0, type=positive, help=weight)
    add("--word-score", default=0.0, type=float, help="added for every word (%(default)s)")
    add("--beam", default=50, type=count, help="hypotheses kept (%(default)s)")
    texts = "what it was estimated from, with licence, for the record; may be repeated"
    add("--lm-text", default=[], action="append", metavar="TEXT", help=texts)


def _add_language_model(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    texts = f"*.txt, a sentence or paragraph a line; or {DATA_HELP}"
    add("texts", nargs="+", metavar="TEXT", help=texts)
    add(
        "--out",
        required=True,
        type=Path,
        metavar="FILE",
        help="ARPA text to write, compressed if *.gz",
    )
    add(
        "--held-out",
        default=[],
        action="append",
        metavar="DATA",
        help="text or data whose sentences, and eight words in a row, are left out",
    )
    add("--dev", metavar="DATA", help="text or data to measure perplexity on")
    add("--like", type=Path, metavar="MODEL", help="checkpoint or bundle: its text and characters")
    add("--order", default=3, type=count, help="longest n-grams (%(default)s words)")
    add("--words", default=40_000, type=count, help="most frequent ones (%(default)s)")
    add("--min-count", default=2, type=count, help="of a word (%(default)s)")
    known = "words that it knows in any case, a line each; may be repeated"
    add("--known-words", default=[], action="append", metavar="TEXT", help=known)
    add(
        "--max-bytes",
        default=10_000_000,
        type=count,
        help="of the text, uncompressed (%(default)s)",
    )
    _add_text(command.add_argument_group("text"))


def _add_evaluate(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("model", type=Path, help="checkpoint or bundle")
    add("manifest", metavar="DATA[#SPLIT]", help=DATA_HELP)
    add("--base", help="where the checkpoint's base lies now")
    add("--streaming", action="store_true", help="chunk by chunk, as a live stream")
    add("--chunk", type=count, metavar="FRAMES", help="the same, in other chunks than its own")
    add("--min-seconds", default=0.0, type=float, help="leave shorter clips out")
    add("--name", help="of the test set, for the record")
    add("--note", default="", help="for the record")
    add("--json", type=Path, metavar="FILE", help="write the record, for export --measured")
    add("--skipped", type=Path, metavar="FILE", help="write what cannot be used, as JSONL")
    add("--decoding", choices=get_args(Decoding), help="beam where there is a language model")
    add("--language-model", type=Path, metavar="ARPA", help="instead of the bundle's")
    add("--lm-weight", type=positive, metavar="X", help="instead of the bundle's")
    add("--word-score", type=float, metavar="Y", help="instead of the bundle's")
    add("--beam", type=count, metavar="N", help="hypotheses kept, instead of the bundle's")
    add("--hypotheses", type=Path, metavar="FILE", help="write what was recognised, as JSONL")


def _add_export(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("checkpoint", type=Path)
    add("--out", required=True, type=Path, help="bundle folder; must not exist")
    add("--base", help="where the checkpoint's base lies now")
    add("--name", help="of the bundle (its folder's name)")
    add("--summary", default="", help="a sentence for the model card")
    add("--notes", type=Path, metavar="FILE", help="Markdown for the model card")
    add("--runtime", default=[], action="append", choices=get_args(Runtime), help="all by default")
    add("--precision", default=[], action="append", choices=("float32", "int8"), help="float32")
    add("--streaming", action="store_true", help="a graph for live audio too, or say what forbids")
    add("--chunk", type=count, metavar="FRAMES", help="of it (as trained)")
    add("--ranges", metavar="DATA", help="speech that sets the ranges of int8, such as the dev set")
    add("--weights", default="float32", choices=("float32", "float16"), help="how they are stored")
    add("--longest-pass", type=float, metavar="S", help="cut longer audio, for what training saw")
    add("--clip", default=[], action="append", type=Path, help="recording to check parity on")
    add("--measured", default=[], action="append", type=Path, help="record of evaluate --json")
    add("--data", default=[], action="append", help="training data, for the record")
    _add_decoding(command.add_argument_group("language model"))
    add("--base-name", help="of the base, for the record")
    add("--base-licence", default="not stated")
    add("--licence", default="not stated", help="of the weights")


if __name__ == "__main__":
    sys.exit(main())
