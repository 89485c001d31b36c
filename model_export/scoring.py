"""Error rates, and the text of label sequences."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

import jiwer
import numpy as np
import numpy.typing as npt

from service.bundle import Vocabulary

RESAMPLES = 1000
INTERVAL_PERCENTILES = (2.5, 97.5)


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


def word_errors(reference: str, hypothesis: str) -> int:
    """Words that were substituted, deleted or inserted."""
    counts = jiwer.process_words(reference, hypothesis)
    return counts.substitutions + counts.deletions + counts.insertions


def character_errors(reference: str, hypothesis: str) -> int:
    """Characters that were substituted, deleted or inserted."""
    counts = jiwer.process_characters(reference, hypothesis)
    return counts.substitutions + counts.deletions + counts.insertions


def bootstrap_interval(
    errors: npt.ArrayLike, lengths: npt.ArrayLike, resamples: int = RESAMPLES
) -> tuple[float, float]:
    """95 % bootstrap interval of an error rate in percent, by resampling utterances.

    Args:
        errors: of each utterance; differences of two models' errors give the interval of the
            difference of their rates.
        lengths: of each reference.
        resamples: how often utterances are drawn anew.
    """
    counted, sizes = np.asarray(errors, dtype=float), np.asarray(lengths, dtype=float)
    draws = np.random.default_rng(0).integers(len(sizes), size=(resamples, len(sizes)))
    rates = 100 * counted[draws].sum(axis=1) / sizes[draws].sum(axis=1)
    low, high = np.percentile(rates, INTERVAL_PERCENTILES)
    return float(low), float(high)


def decode_labels(best_labels: Iterable[int], vocabulary: Vocabulary) -> str:
    """Greedy CTC: merge repeats, drop blanks, and read words."""
    merged = (label for label, _ in groupby(best_labels))
    text = "".join(vocabulary.tokens[label] for label in merged if label != vocabulary.blank_id)
    return " ".join(text.replace(vocabulary.word_delimiter, " ").split())
