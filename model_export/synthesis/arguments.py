"""What `wsm-export synthesise` can be told."""

import argparse
from pathlib import Path
from typing import Any

from model_export.arguments import positive
from model_export.synthesis.plan import parse_voices

EPILOG = """
Engines: flite, rhvoice, pico and espeak, programs of the system; kokoro, by pip install
wsm-stt[synthesis], with files that you name. A run that was stopped goes on when the same command
is given again. Look at the licence of each voice before you give trained weights away.
"""


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add them to a parser."""
    command.epilog = EPILOG
    add = command.add_argument
    add("texts", nargs="+", type=Path, metavar="TEXT", help="*.txt; all have equally many clips")
    add("--out", required=True, type=Path, metavar="DIR", help="an old run there goes on")
    _add_voices(command.add_argument_group("voices"))
    _add_amount(command.add_argument_group("amount"))
    _add_kokoro(command.add_argument_group("Kokoro"))


def _add_voices(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    form: dict[str, Any] = {
        "action": "append",
        "type": parse_voices,
        "metavar": "ENGINE:VOICE,...[@SHARE]",
    }
    add("--voices", required=True, help="of the split train; SHARE is 1", **form)
    add("--dev-voices", default=[], help="of the split dev, heard nowhere else", **form)
    add("--speeds", default=(0.85, 1.2), type=_speeds, metavar="LOW:HIGH", help="(0.85:1.2)")
    add("--blends", default=0.5, type=_share, help="share of Kokoro's clips in two voices (0.5)")


def _add_amount(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--hours", required=True, type=positive, help="of training speech, about")
    add("--dev-clips", default=180, type=int, metavar="N", help="(%(default)s)")
    add("--words", default=(1, 22), type=_counts, metavar="LOW:HIGH", help="in a sentence (1:22)")
    add("--sentences", default=(1, 3), type=_counts, metavar="LOW:HIGH", help="in a clip (1:3)")
    add(
        "--held-out",
        default=[],
        action="append",
        metavar="DATA",
        help="text or data whose sentences, and eight words in a row, are not spoken",
    )
    add("--seed", default=0, type=int, help="of every draw (%(default)s)")
    add("--jobs", type=int, metavar="N", help="sentences spoken at once (one per core)")


def _add_kokoro(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--kokoro-model", type=Path, metavar="FILE", help="*.onnx")
    add("--kokoro-voices", type=Path, metavar="PATH", help="archive, or folder of *.bin")
    add("--kokoro-language", default="en-us", help="such as en-gb, es, fr-fr (%(default)s)")


def _speeds(text: str) -> tuple[float, float]:
    low, _, high = text.partition(":")
    speeds = float(low), float(high or low)
    if not 0.5 <= speeds[0] <= speeds[1] <= 2.0:
        raise argparse.ArgumentTypeError(f"{text!r} is not LOW:HIGH within 0.5 and 2")
    return speeds


def _counts(text: str) -> tuple[int, int]:
    low, _, high = text.partition(":")
    counts = int(low), int(high or low)
    if not 1 <= counts[0] <= counts[1]:
        raise argparse.ArgumentTypeError(f"{text!r} is not LOW:HIGH from 1 on")
    return counts


def _share(text: str) -> float:
    share = float(text)
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"{share:g} is not within 0 and 1")
    return share
