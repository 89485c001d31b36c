"""From sentences to an ARPA file that fits."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from model_export.errors import LanguageModelRefused
from model_export.language_model.arpa import most_bytes, write_arpa
from model_export.language_model.counts import SPECIAL_WORDS, choose_words, count_ngrams
from model_export.language_model.kneser_ney import estimate
from model_export.language_model.pruning import prune


@dataclass(frozen=True)
class Limits:
    """How large a model may get.

    Attributes:
        order: words in its longest n-grams.
        max_words: of the sentences, in its vocabulary.
        min_count: words that occur less often are unknown to it.
        max_bytes: of the ARPA text, before it is compressed.
    """

    order: int = 3
    max_words: int = 40_000
    min_count: int = 2
    max_bytes: int = 10_000_000


def build(
    sentences: Sequence[str], limits: Limits, out: Path, known: Collection[str] = ()
) -> tuple[int, ...]:
    """Estimate a model and write it.

    Args:
        sentences: normalised.
        limits: of its size.
        out: file to write.
        known: words that its vocabulary has in any case; what no sentence has is rarest.

    Returns:
        The number of n-grams of each order in it.

    Raises:
        LanguageModelRefused: no word is frequent enough, or the words alone do not fit.
    """
    words = choose_words(
        sentences, max_words=limits.max_words, min_count=limits.min_count, known=known
    )
    if not words:
        raise LanguageModelRefused(f"no word occurs {limits.min_count} times")
    model = estimate((*SPECIAL_WORDS, *words), count_ngrams(sentences, words, limits.order))
    pruned = prune(model, lambda listed: most_bytes(model, listed) <= limits.max_bytes)
    if (needed := most_bytes(model, pruned.listed)) > limits.max_bytes:
        raise LanguageModelRefused(
            f"{len(words):,} words alone take {needed:,} bytes; the limit is {limits.max_bytes:,}"
        )
    write_arpa(out, pruned)
    return tuple(int(listed.sum()) for listed in pruned.listed)
