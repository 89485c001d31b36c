"""ARPA text: the format that every n-gram toolkit reads; compressed, if its name ends in .gz."""

import gzip
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO, cast

import numpy as np
import numpy.typing as npt

from model_export.errors import LanguageModelRefused
from model_export.language_model.counts import Ids, NgramTable
from model_export.language_model.kneser_ney import Floats, Model
from model_export.language_model.pruning import BackoffModel, Flags
from service.beam_search.arpa import read_unigrams
from service.errors import InvalidBundle

COMPRESSED_SUFFIX = ".gz"
# Of log10 probabilities, which leaves about 7 bits each: a sixth less to compress than three
# decimals, and no worse a model (perplexity 150.1 against 150.2).
STEP_LOG10 = 0.05
DECIMALS = 2
NUMBER_BYTES = len("-1.25\t")  # at most
HEADER_BYTES = 50  # at most, of each order
LOWEST_LOG10 = -9.95
NEVER_LOG10 = -99.0  # by convention, of what is never predicted
ONE = f"{0:.{DECIMALS}f}"  # the logarithm of a weight that changes nothing

Names = npt.NDArray[np.object_]


def most_bytes(model: Model, listed: Sequence[Flags]) -> int:
    """Size of a model's ARPA text, or a little more."""
    word_bytes = np.array([len(word.encode()) + 1 for word in model.words])
    name_bytes = np.zeros(1, dtype=np.int64)
    total = 0
    for table, kept, followed in zip(model.tables, listed, _followed(model, listed), strict=True):
        name_bytes = name_bytes[table.history] + word_bytes[table.word]
        numbers = int(np.count_nonzero(kept)) + int(np.count_nonzero(followed))
        total += HEADER_BYTES + int(name_bytes[kept].sum()) + NUMBER_BYTES * numbers
    return total


def write_arpa(path: Path, pruned: BackoffModel) -> None:
    """Write a model."""
    with _create(path) as out:
        out.write("\\data\\\n")
        for order, kept in enumerate(pruned.listed, start=1):
            out.write(f"ngram {order}={np.count_nonzero(kept)}\n")
        for order, lines in enumerate(_orders(pruned), start=1):
            out.write(f"\n\\{order}-grams:\n")
            out.writelines(lines)
        out.write("\n\\end\\\n")


def read_words(path: Path) -> list[str]:
    """The words that an ARPA file lists, without those that every model has.

    Raises:
        LanguageModelRefused: it cannot be read, or lists no words.
    """
    try:
        words = list(read_unigrams(path))
    except InvalidBundle as error:
        raise LanguageModelRefused(str(error)) from error
    if not words:
        raise LanguageModelRefused(f"{path} is no n-gram model: it lists no words")
    return words


def _create(path: Path) -> TextIO:
    if path.suffix == COMPRESSED_SUFFIX:
        return cast(TextIO, gzip.open(path, "wt", encoding="utf-8", newline="\n"))
    return path.open("w", encoding="utf-8", newline="\n")


def _orders(pruned: BackoffModel) -> Iterator[Iterator[str]]:
    """The lines of each order."""
    model = pruned.model
    names = np.array([""], dtype=object)
    for order_below, table in enumerate(model.tables):
        rows = np.flatnonzero(pruned.listed[order_below])
        names = _names(model, table, rows, names)
        logs = _log10(model.probabilities[order_below][rows])
        backoffs = [""] * len(rows)
        if order_below < len(pruned.backoffs):
            backoff = pruned.backoffs[order_below][rows]
            backoffs = [f"\t{log}" if log != ONE else "" for log in _log10(backoff)]
        lines = zip(logs, names[rows], backoffs, strict=True)
        yield (f"{log}\t{name}{backoff}\n" for log, name, backoff in lines)


def _names(model: Model, table: NgramTable, rows: Ids, below: Names) -> Names:
    """The words of some n-grams, at their rows; `below` has those of their histories."""
    words = (model.words[word] for word in table.word[rows])
    names = np.empty(len(table.word), dtype=object)
    names[rows] = [
        f"{history} {word}".strip()
        for history, word in zip(below[table.history[rows]], words, strict=True)
    ]
    return names


def _log10(factors: Floats) -> list[str]:
    with np.errstate(divide="ignore"):
        logs = np.where(factors > 0, np.maximum(np.log10(factors), LOWEST_LOG10), NEVER_LOG10)
    rounded = np.round(logs / STEP_LOG10) * STEP_LOG10 + 0.0  # and not minus zero
    return [f"{log:.{DECIMALS}f}" for log in rounded]


def _followed(model: Model, listed: Sequence[Flags]) -> list[Flags]:
    """Which n-grams are histories of listed ones, and so need a backoff weight."""
    followed = [np.zeros_like(kept) for kept in listed]
    for histories, table, kept in zip(followed, model.tables[1:], listed[1:], strict=False):
        histories[table.history[kept]] = True
    return followed
