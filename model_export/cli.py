"""`wsm-export`: the command line of the offline half."""

import argparse
import sys
from importlib import import_module
from pathlib import Path
from typing import get_args

from model_export.arguments import DATA_HELP, add_text, count, positive
from model_export.attention_decoder.arguments import add_attention_decoder
from model_export.errors import ExportError
from model_export.paper.arguments import add_arguments as add_paper
from model_export.synthesis.arguments import add_arguments
from model_export.training.arguments import add_finetune
from service.bundle import Runtime
from service.errors import ServiceError
from service.options import Decoding

# Subcommands that need less than `commands` imports: most begin seconds sooner without torch.
APART = {
    "attention-decoder": "model_export.attention_decoder.command",
    "blend": "model_export.blending",
    "inspect": "model_export.inspection",
    "language-model": "model_export.language_model.command",
    "paper": "model_export.paper.command",
    "synthesise": "model_export.synthesis.command",
}


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
    module = import_module(APART.get(options.command, "model_export.commands"))
    getattr(module, options.command.replace("-", "_"))(options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="wsm-export", description=__doc__)
    subcommands = parser.add_subparsers(required=True, dest="command", metavar="COMMAND")
    add_finetune(subcommands.add_parser("finetune", help="swap attention and fine-tune"))
    add_attention_decoder(
        subcommands.add_parser("attention-decoder", help="teach Whisper's a checkpoint's frames")
    )
    _add_evaluate(subcommands.add_parser("evaluate", help="score a checkpoint or a bundle"))
    _add_blend(subcommands.add_parser("blend", help="the mean of two checkpoints"))
    _add_export(subcommands.add_parser("export", help="write a bundle, if its variants agree"))
    _add_check_data(subcommands.add_parser("check-data", help="say what data is, before training"))
    _add_language_model(subcommands.add_parser("language-model", help="n-grams for beam search"))
    add_arguments(subcommands.add_parser("synthesise", help="speak texts, to train on"))
    add_paper(subcommands.add_parser("paper", help="measure the method's claims again"))
    inspect = subcommands.add_parser("inspect", help="verify a bundle and print what it is")
    inspect.add_argument("bundle", type=Path)
    return parser


def _add_blend(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("first", type=Path, help="checkpoint")
    add("second", type=Path, help="one that began with it, or where it did (finetune --start)")
    add("--share", default=0.5, type=float, help="of the second, 0 to 1 (%(default)s)")
    add("--out", required=True, type=Path, help="checkpoint folder; must not exist")


def _add_check_data(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("data", nargs="+", metavar="DATA[#SPLIT]", help=f"{DATA_HELP}; several are compared")
    add("--base", help="whose limits of length to hold clips against")
    add("--revision", help="branch, tag or commit of a hub name (its main branch)")
    add("--json", type=Path, metavar="FILE", help="write everything that was found")
    add_text(command.add_argument_group("text"))


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
    add_text(command.add_argument_group("text"))


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
    _add_attention(command.add_argument_group("attention decoder"))
    add("--sign", type=Path, metavar="KEY", help="Ed25519 key in PEM that signs the bundle")
    add("--base-name", help="of the base, for the record")
    add("--base-licence", default="not stated")
    add("--licence", default="not stated", help="of the weights")


def _add_attention(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--attention-decoder", type=Path, metavar="FOLDER", help="a checkpoint of it, to go along")
    least = (
        "how much less likely than CTC's own text one of it may be, as natural logarithm for each "
        "character (%(default)s)"
    )
    add("--least-agreement", default=-1.0, type=float, metavar="X", help=least)


if __name__ == "__main__":
    sys.exit(main())
