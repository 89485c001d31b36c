"""Sentences to estimate a language model from, and what was left out of them."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain
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
# A stop, what closes behind it, and space; or a stop that no space follows.
STOP = r"(?<=[.!?\u2026\u0964\u061f\u06d4][\"'\p{Pe}\p{Pf}]*)\s+|(?<=[\u3002\uff01\uff1f])"
EVERY_STOP = regex.compile(STOP)
SENTENCE_END = regex.compile(rf"(?<!\b\p{{Lu}}\p{{L}}{{0,2}}\.)(?:{STOP})")  # not after Mrs. or J.


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
    rows: Iterable[str] = tqdm(_rows(reference), f"read {reference}", unit=" rows", disable=None)
    if _is_plain(reference):
        rows = chain.from_iterable(map(split_sentences, rows))
    for text in rows:
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


def read_word_lists(references: Iterable[str], text_filter: TextFilter) -> frozenset[str]:
    """Words of lists, a word a line; a dictionary is no text, so nothing of it is held out.

    Raises:
        ManifestInvalid: one of them cannot be read.
    """
    rows = (row for reference in references for row in _rows(reference))
    normalised = map(text_filter.apply, rows)
    return frozenset(
        word for word in normalised if not isinstance(word, LeftOut) and len(word.split()) == 1
    )


def read_held_out(references: Iterable[str], rules: TextNormalisation) -> HeldOut:
    """What texts hold out: their rows, their sentences, and what stands between any two stops.

    Raises:
        ManifestInvalid: one of them cannot be read.
    """
    rows = (row for reference in references for row in _rows(reference))
    parts = (part for row in rows for part in (row, *split_sentences(row), *EVERY_STOP.split(row)))
    normalised = map(TextFilter(rules).apply, parts)
    return HeldOut.of(text for text in normalised if text and not isinstance(text, LeftOut))


def split_sentences(text: str) -> list[str]:
    """Parts of a paragraph that end in a stop; in doubt not parted."""
    return [sentence for sentence in SENTENCE_END.split(text) if sentence]


def _is_plain(reference: str) -> bool:
    return Path(reference).suffix == TEXT_SUFFIX


def _rows(reference: str) -> Iterator[str]:
    """Lines of a plain text, or texts of recordings."""
    if _is_plain(reference):
        return (line for _, line in numbered_lines(Path(reference).expanduser()))
    return read_texts(reference)
