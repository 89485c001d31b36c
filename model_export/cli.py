"""`wsm-export`: fine-tune, evaluate, export and inspect."""

import argparse
import sys
from pathlib import Path
from typing import get_args

from model_export.checkpoint import ModelSpec, digest_of_base
from model_export.data import Corpus, read_corpus
from model_export.errors import ExportError
from model_export.families import layer_count_of, resolve_base
from model_export.finetune import FineTuning, Schedule
from model_export.freezing import ALSO_TRAIN
from model_export.surgery import count_parameters, select_layers
from model_export.text import make_vocabulary
from service.bundle import Mixer, TextNormalisation
from service.errors import ServiceError

DEFAULT_BASE = "openai/whisper-tiny.en"
DEFAULT_CACHE = Path("runs/cache")
DEFAULT_WINDOW_FRAMES = 8


def main(arguments: list[str] | None = None) -> int:
    """Run a subcommand; errors the user can mend are one line and exit status 2."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except (ExportError, ServiceError) as error:
        print(f"wsm-export: {error}", file=sys.stderr)
        return 2
    return 0


def _finetune(options: argparse.Namespace) -> None:
    rules = TextNormalisation(lowercase=not options.cased, keep=options.keep)
    train, dev = read_corpus(options.train, rules), read_corpus(options.dev, rules)
    _report_skipped(train, dev)
    schedule = Schedule(
        epochs=options.epochs,
        match_epochs=options.match_epochs if options.init == "match" else 0,
        learning_rate=options.learning_rate,
        batch_s=options.batch_seconds,
        copies=options.copies,
        seed=options.seed,
    )
    run = FineTuning(
        _spec(options, train, rules),
        out=options.out,
        schedule=schedule,
        cache_dir=options.cache_features,
    )
    learning = count_parameters(run.model, trainable_only=True)
    print(f"{learning:,} of {count_parameters(run.model):,} parameters learn")
    rates = run.run(train, dev)
    print(f"{options.out}: WER {rates['eval_wer']:.1f} %, CER {rates['eval_cer']:.1f} % on dev")


def _spec(options: argparse.Namespace, train: Corpus, rules: TextNormalisation) -> ModelSpec:
    folder = resolve_base(options.base)
    return ModelSpec(
        base=options.base,
        base_digest=digest_of_base(folder),
        languages=tuple(options.language),
        layers=select_layers(options.replace, layer_count_of(folder)),
        mixer=options.mixer,
        window_frames=options.window if options.mixer == "wsm" else None,
        also_train=tuple(options.also_train),
        vocabulary=make_vocabulary(clip.text for clip in train.clips),
        text_normalisation=rules,
        data=(Path(options.train.partition("#")[0]).name,),
    )


def _report_skipped(*corpora: Corpus) -> None:
    for line in (line for corpus in corpora for line in corpus.skipped):
        print(f"skipped {line}", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="wsm-export", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_finetune(commands.add_parser("finetune", help="swap attention and fine-tune"))
    return parser


def _add_finetune(command: argparse.ArgumentParser) -> None:
    command.set_defaults(run=_finetune)
    add = command.add_argument
    add("--base", default=DEFAULT_BASE, help="folder or hub name (%(default)s)")
    add("--train", required=True, metavar="MANIFEST[#SPLIT]", help="JSONL, CSV or TSV")
    add("--dev", required=True, metavar="MANIFEST[#SPLIT]", help="chooses the best epoch")
    add("--out", required=True, type=Path, help="checkpoint folder; an old run there goes on")
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


if __name__ == "__main__":
    sys.exit(main())
