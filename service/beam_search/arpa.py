"""The words of an n-gram model in ARPA text, compressed or not."""

import gzip
import math
import zlib
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

from service.errors import InvalidBundle

HEADER = "\\data\\"
UNIGRAMS = "\\1-grams:"
MARKERS = frozenset({"<s>", "</s>", "<unk>", "<UNK>"})


def read_unigrams(path: Path) -> dict[str, float]:
    """The log10 probability of each word, without the markers of sentences and of unknown words.

    Args:
        path: gzip, if its name ends in .gz.

    Raises:
        InvalidBundle: it cannot be read, or is no ARPA text.
    """
    try:
        opened = gzip.open if path.suffix == ".gz" else open
        with opened(path, "rt", encoding="utf-8") as lines:
            return dict(_unigrams(lines))
    except (OSError, EOFError, zlib.error) as error:
        raise InvalidBundle(f"{path} cannot be read: {error}") from error
    except ValueError as error:
        raise InvalidBundle(f"{path} is no n-gram model in ARPA text: {error}") from error


def _unigrams(lines: Iterator[str]) -> Iterator[tuple[str, float]]:
    if next((line for line in lines if line.strip()), "").strip() != HEADER:
        raise ValueError(f"it does not begin with {HEADER}")
    if not any(line.strip() == UNIGRAMS for line in lines):
        raise ValueError(f"it has no {UNIGRAMS}")
    for line in takewhile(lambda line: not line.startswith("\\"), lines):
        if fields := line.split():
            yield from _unigram(fields)


def _unigram(fields: list[str]) -> Iterator[tuple[str, float]]:
    if len(fields) not in (2, 3):
        raise ValueError(f"{' '.join(fields)!r} is no unigram")
    probability = float(fields[0])
    if math.isnan(probability) or probability > 0:
        raise ValueError(f"the log10 probability of {fields[1]!r} is {probability}")
    if fields[1] not in MARKERS:
        yield fields[1], probability
