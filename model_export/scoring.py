"""Error rates, and the text of label sequences."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

import jiwer

from service.bundle import Vocabulary


@dataclass(frozen=True)
class ErrorRates:
    """Edit distance over reference length, in percent, over all utterances together."""

    wer_percent: float
    cer_percent: float


def error_rates(references: Sequence[str], hypotheses: Sequence[str]) -> ErrorRates:
    """Word and character error rates of normalised texts.

    Pairs without a reference, which are recordings that could not be read, do not count.
    """
    pairs = [pair for pair in zip(references, hypotheses, strict=True) if pair[0]]
    if not pairs:
        return ErrorRates(math.nan, math.nan)
    spoken, recognised = map(list, zip(*pairs, strict=True))
    return ErrorRates(
        wer_percent=100 * float(jiwer.wer(spoken, recognised)),
        cer_percent=100 * float(jiwer.cer(spoken, recognised)),
    )


def decode_labels(best_labels: Iterable[int], vocabulary: Vocabulary) -> str:
    """Greedy CTC: merge repeats, drop blanks, and read words."""
    merged = (label for label, _ in groupby(best_labels))
    text = "".join(vocabulary.tokens[label] for label in merged if label != vocabulary.blank_id)
    return " ".join(text.replace(vocabulary.word_delimiter, " ").split())
