"""What several subcommands can be told, and how argparse's `type` takes numbers."""

import argparse
import math
from typing import get_args

from service.bundle import Digits

DATA_HELP = (
    "manifest (JSONL, CSV, TSV), folder (Common Voice, Kaldi, LJSpeech, audiofolder, Parquet, "
    "save_to_disk) or hf:NAME[@REVISION][:CONFIG]"
)


def count(text: str) -> int:
    """A whole number of at least 1."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not at least 1")
    return number


def positive(text: str) -> float:
    """A number above 0."""
    number = float(text)
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"{number:g} is not above 0")
    return number


def add_text(group: argparse._ArgumentGroup) -> None:
    """Add how transcripts are normalised; None where not asked, so that --start can be kept."""
    add = group.add_argument
    add("--language", default=[], action="append", help="code such as en; the first rules the text")
    add("--digits", choices=get_args(Digits), help="in texts (default: refuse such texts)")
    add("--cased", action="store_true", help="keep upper case")
    add("--keep", metavar="CHARACTERS", help="kept beside letters (none)")
    add("--keep-inside", metavar="CHARACTERS", help="kept between two letters (')")
    add("--punctuation", action="store_true", help="keep the punctuation of sentences")
    add("--unicode-form", choices=("NFC", "NFKC"), help="NFC by default")
