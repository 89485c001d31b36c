"""What `wsm-export attention-decoder` can be told."""

import argparse
from pathlib import Path

from model_export.arguments import DATA_HELP, count


def add_attention_decoder(command: argparse.ArgumentParser) -> None:
    """Add them to a parser."""
    add = command.add_argument
    add("checkpoint", type=Path, help="of finetune; its encoder makes the frames")
    add("--base", help="where the checkpoint's base lies now")
    add(
        "--whisper", required=True, metavar="BASE", help="whole, of the encoder: folder or hub name"
    )
    for flag, what in (("--train", DATA_HELP), ("--dev", "chooses the best checkpoint")):
        add(flag, required=True, action="append", metavar="DATA[#SPLIT]", help=what)
    add("--out", required=True, type=Path, help="decoder's folder; an old run there goes on")
    most = "of the tokenizer's first, those of plain text are kept (%(default)s)"
    add("--most-tokens", default=30_000, type=count, metavar="N", help=most)
    add("--epochs", default=2.0, type=float, help="passes over the clips (%(default)s)")
    add("--learning-rate", default=5e-5, type=float, help="highest (%(default)s)")
    add("--batch-seconds", default=200.0, type=float, help="padded audio in a batch (%(default)s)")
    add("--evaluations", default=5, type=count, metavar="N", help="of a run (%(default)s)")
    add("--copies", default=1, type=count, help="entries per clip, all but one augmented")
    add("--augment-batches", action="store_true", help="augment every batch: for GPUs, no cache")
    add("--cache-features", type=Path, metavar="DIR", help="compute frames once and keep them")
    add("--precision", default="auto", choices=("auto", "fp32", "bf16", "fp16"))
    add("--seed", default=0, type=int, help="of order and augmentation (%(default)s)")
