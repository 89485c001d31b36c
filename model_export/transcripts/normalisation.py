"""Text normalisation and the vocabulary made from it."""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import regex

from model_export.errors import ManifestInvalid, NormalisationInvalid, TextRefused
from model_export.transcripts.number_words import DIGIT, number_forms, spell_numbers
from service.bundle import TextNormalisation, Vocabulary

BLANK = "<blank>"
WORD_DELIMITER = "|"
PUNCTUATION = ".,?!:;\u2026¿¡।॥،؛؟۔。、？！՞։"  # noqa: RUF001  of sentences, in any script
APOSTROPHES = str.maketrans({"\u2019": "'", "\u02bc": "'", "\uff07": "'"})
DOTLESS_LANGUAGES = frozenset({"az", "crh", "tr"})
DOTLESS = str.maketrans({"I": "ı", "İ": "i"})  # noqa: RUF001
# Format characters, variation selectors and the Arabic stretch have no sound and part no words.
SOUNDLESS = regex.compile(r"[\p{Cf}\uFE00-\uFE0F\u034F\u180B-\u180D\u0640]")


def normalise(text: str, rules: TextNormalisation) -> str:
    """Normalise a transcript: words of letters (and kept characters) with single spaces.

    Marks stay with the letters they stand on, in any script; marks on nothing are dropped.

    Raises:
        TextRefused: it has digits, and the rules refuse them or cannot spell them.
    """
    text = unicodedata.normalize(rules.unicode_form, text).translate(APOSTROPHES)
    text = SOUNDLESS.sub(lambda found: found[0] if found[0] in rules.keep else "", text)
    text = _without_digits(text, rules)
    text = " ".join(_word(rules.keep, rules.keep_inside).findall(text))
    if rules.lowercase:
        text = lower(text, rules.language)
    # Lower case may compose where upper case does not: J with caron.
    return unicodedata.normalize(rules.unicode_form, text)


def lower(text: str, language: str | None) -> str:
    """Lower case by the language's rules."""
    if language and regex.split("[-_]", language.lower())[0] in DOTLESS_LANGUAGES:
        text = text.translate(DOTLESS)
    return text.lower()


def require_usable(rules: TextNormalisation) -> None:
    """Check rules before the first text meets them.

    Raises:
        NormalisationInvalid: they keep spaces or the word delimiter, or spell numbers in a language
            whose number words are not known.
    """
    kept = rules.keep + rules.keep_inside
    if odd := [character for character in kept if character.isspace() or character == "|"]:
        raise NormalisationInvalid(f"{odd[0]!r} stands between words and cannot be kept in them")
    if rules.digits == "spell":
        number_forms(rules.language)


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


def unknown_characters(texts: Iterable[str], vocabulary: Vocabulary) -> Counter[str]:
    """Characters of normalised texts that the vocabulary lacks, and how many texts have each."""
    known = {*vocabulary.tokens, " "} - {vocabulary.word_delimiter}
    return Counter(character for text in texts for character in set(text) - known)


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


def _without_digits(text: str, rules: TextNormalisation) -> str:
    if rules.digits == "spell":
        return spell_numbers(text, rules.language)
    if rules.digits == "refuse" and (found := DIGIT.search(text)):
        raise TextRefused(f"the text has digits, such as {found[0]!r}")
    return text


@lru_cache
def _word(keep: str, keep_inside: str) -> regex.Pattern[str]:
    r"""Matches a word: letters with their marks, and what is kept of the rest."""
    letter = r"[\p{L}\p{N}][\p{Mn}\p{Mc}]*"
    parts = [letter]
    if keep:
        parts.append(f"[{regex.escape(keep.translate(APOSTROPHES))}]")
    if keep_inside:
        inside = regex.escape(keep_inside.translate(APOSTROPHES))
        parts.append(rf"(?<={letter})[{inside}](?=[\p{{L}}\p{{N}}])")
    return regex.compile(f"(?:{'|'.join(parts)})+")
