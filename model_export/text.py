"""Text normalisation and the vocabulary made from it."""

import unicodedata
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path

from model_export.errors import ManifestInvalid
from service.bundle import TextNormalisation, Vocabulary

BLANK = "<blank>"
WORD_DELIMITER = "|"
LONE_APOSTROPHES = str.maketrans({"\u2019": "'", "\u02bc": "'"})


def normalise(text: str, rules: TextNormalisation) -> str:
    """Normalise a transcript: words of letters (and kept characters) with single spaces.

    Digits stay: spelling them is a matter of the language, and dropping them would hide speech.
    """
    text = unicodedata.normalize(rules.unicode_form, text)
    if rules.lowercase:
        # Lower case may compose where upper case does not: J with caron.
        text = unicodedata.normalize(rules.unicode_form, text.lower())
    text = text.translate(LONE_APOSTROPHES)
    return " ".join("".join(_kept(character, rules.keep) for character in text).split())


def make_vocabulary(texts: Iterable[str]) -> Vocabulary:
    """Vocabulary of the characters in normalised texts, in code point order."""
    characters = sorted({character for text in texts for character in text} - {" "})
    return Vocabulary(
        tokens=(BLANK, WORD_DELIMITER, *characters), blank_id=0, word_delimiter=WORD_DELIMITER
    )


def read_vocabulary(path: Path) -> Vocabulary:
    """Vocabulary of a text file with one character a line; blank and word delimiter are added.

    Raises:
        ManifestInvalid: the file cannot be read, or a line is not one character.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ManifestInvalid(f"{path} cannot be read as a vocabulary: {error}") from error
    characters = [line for line in lines if line]
    if odd := [line for line in characters if len(line) != 1]:
        raise ManifestInvalid(f"{path}: {odd[0]!r} has {len(odd[0])} characters; a line has one")
    return make_vocabulary(characters)


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
    category = unicodedata.category(character)
    if character in keep or category[0] in "LMN":
        return character
    # Joiners and soft hyphens stand inside words; anything else parts them.
    return "" if category == "Cf" else " "
