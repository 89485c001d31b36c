"""Text normalisation and the vocabulary made from it."""

import unicodedata
from collections.abc import Iterable, Sequence
from itertools import pairwise

from service.bundle import TextNormalisation, Vocabulary

BLANK = "<blank>"
WORD_DELIMITER = "|"
LONE_APOSTROPHES = str.maketrans({"\u2019": "'", "\u02bc": "'"})


def normalise(text: str, rules: TextNormalisation) -> str:
    """Normalise a transcript: words of letters (and kept characters) with single spaces.

    Digits stay: spelling them is a matter of the language, and dropping them would hide speech.
    """
    text = unicodedata.normalize(rules.unicode_form, text).translate(LONE_APOSTROPHES)
    if rules.lowercase:
        text = text.lower()
    return " ".join("".join(_kept(character, rules.keep) for character in text).split())


def make_vocabulary(texts: Iterable[str]) -> Vocabulary:
    """Vocabulary of the characters in normalised texts, in code point order."""
    characters = sorted({character for text in texts for character in text} - {" "})
    return Vocabulary(
        tokens=(BLANK, WORD_DELIMITER, *characters), blank_id=0, word_delimiter=WORD_DELIMITER
    )


def encode(text: str, vocabulary: Vocabulary) -> list[int]:
    """Label ids of a normalised text.

    Raises:
        KeyError: a character is not in the vocabulary.
    """
    ids = {token: index for index, token in enumerate(vocabulary.tokens)}
    ids[" "] = ids[vocabulary.word_delimiter]
    return [ids[character] for character in text]


def frames_needed(labels: Sequence[int]) -> int:
    """Fewest frames in which CTC can emit the labels: one each, and a blank between twins."""
    twins = sum(left == right for left, right in pairwise(labels))
    return len(labels) + twins


def _kept(character: str, keep: str) -> str:
    is_kept = character in keep or unicodedata.category(character)[0] in "LMN"
    return character if is_kept else " "
