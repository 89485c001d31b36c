"""Sentences to estimate a language model from, and what was left out of them."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import regex
from tqdm import tqdm

from model_export.data.reading import read_texts
from model_export.data.tables import numbered_lines
from model_export.errors import ManifestInvalid, TextRefused
from model_export.language_model.held_out import NOTHING_HELD_OUT, HeldOut
from model_export.transcripts.normalisation import normalise
from service.bundle import TextNormalisation, Vocabulary

TEXT_SUFFIX = ".txt"
# A stop, what closes behind it, and space; no short capitalised word before, such as Mrs or J.
SENTENCE_END = regex.compile(
    r"(?<=[.!?\u2026\u0964\u061f\u06d4][\"'\p{Pe}\p{Pf}]*)(?<!\b\p{Lu}\p{L}{0,2}\.)\s+"
    r"|(?<=[\u3002\uff01\uff1f])"
)


class LeftOut(StrEnum):
    """Why a sentence does not count."""

    REFUSED = "numbers that cannot be spelled"
    NOT_IN_VOCABULARY = "characters outside the vocabulary"
    HELD_OUT = "held out"


@dataclass(frozen=True)
class Texts:
    """Normalised sentences of one source.

    Attributes:
        sentences: in the source's order, repetitions too.
        left_out: how many were not taken, by reason.
    """

    sentences: tuple[str, ...]
    left_out: Counter[LeftOut]


@dataclass(frozen=True)
class TextFilter:
    """Which sentences count, and as what.

    Attributes:
        rules: applied to every sentence.
        characters: a sentence with others does not count; None takes all.
        held_out: what none may repeat.
    """

    rules: TextNormalisation
    characters: frozenset[str] | None = None
    held_out: HeldOut = NOTHING_HELD_OUT

    def apply(self, text: str) -> str | LeftOut:
        """A normalised sentence, which may be empty, or why it does not count."""
        try:
            sentence = normalise(text, self.rules)
        except TextRefused:
            return LeftOut.REFUSED
        if self.characters is not None and not self.characters.issuperset(sentence):
            return LeftOut.NOT_IN_VOCABULARY
        return LeftOut.HELD_OUT if self.held_out.repeated_by(sentence) else sentence


def characters_of(vocabulary: Vocabulary) -> frozenset[str]:
    """Characters that texts may have, to be spelled with a vocabulary."""
    return frozenset({*vocabulary.tokens, " "} - {vocabulary.word_delimiter})


def read_sentences(reference: str, text_filter: TextFilter) -> Texts:
    """Sentences of a plain text, a line holding one or several, or texts of recordings.

    Raises:
        ManifestInvalid: there is nothing, or no sentence of it counts.
    """
    sentences: list[str] = []
    left_out: Counter[LeftOut] = Counter()
    for text in tqdm(_texts(reference), f"read {reference}", unit=" sentences", disable=None):
        sentence = text_filter.apply(text)
        if isinstance(sentence, LeftOut):
            left_out[sentence] += 1
        elif sentence:
            sentences.append(sentence)
    if not sentences:
        raise ManifestInvalid(
            f"{reference} has no sentence to learn from ({left_out.total()} left out)"
        )
    return Texts(tuple(sentences), left_out)


def read_held_out(references: Iterable[str], rules: TextNormalisation) -> HeldOut:
    """What texts hold out: their sentences, and what their rows are as a whole.

    Raises:
        ManifestInvalid: one of them cannot be read.
    """
    whole = (text for reference in references for text in _texts(reference))
    parts = (part for text in whole for part in (text, *split_sentences(text)))
    normalised = map(TextFilter(rules).apply, parts)
    return HeldOut.of(text for text in normalised if text and not isinstance(text, LeftOut))


def split_sentences(text: str) -> list[str]:
    """Parts of a paragraph that end in a stop; in doubt not parted."""
    return [sentence for sentence in SENTENCE_END.split(text) if sentence]


def _texts(reference: str) -> Iterator[str]:
    path = Path(reference).expanduser()
    if path.suffix != TEXT_SUFFIX:
        yield from read_texts(reference)
        return
    for _, line in numbered_lines(path):
        yield from split_sentences(line)
