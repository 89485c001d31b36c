"""What can be said of the transcripts of a corpus, by counting."""

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from model_export.transcripts.normalisation import WORD_DELIMITER
from model_export.transcripts.number_words import DIGIT

RARE_CLIPS = 5
FOREIGN_SHARE = 0.02  # a script with fewer of the letters is not the language's own
LONG_WORD_CHARACTERS = 12  # on average, where words are not parted by spaces


@dataclass(frozen=True)
class CharacterFacts:
    """One character of the normalised texts.

    Attributes:
        character: itself.
        name: its Unicode name.
        count: how often it occurs.
        clips: in how many clips.
        example: name and text of one of them.
        foreign: it is a letter of a script that the corpus hardly has.
    """

    character: str
    name: str
    count: int
    clips: int
    example: str
    foreign: bool

    @property
    def rare(self) -> bool:
        """Whether too few clips have it to learn it."""
        return self.clips < RARE_CLIPS


@dataclass(frozen=True)
class TextFacts:
    """All normalised texts of a corpus.

    Attributes:
        words: how many there are.
        vocabulary_words: how many different ones.
        sentences: how many different texts.
        characters: all but the space, the most frequent first.
        spaceless: words are not parted by spaces.
    """

    words: int
    vocabulary_words: int
    sentences: int
    characters: tuple[CharacterFacts, ...]
    spaceless: bool


@dataclass(frozen=True)
class DigitFacts:
    """What becomes of texts with digits.

    Attributes:
        clips: how many have digits; `refuse` skips them, `keep` takes them.
        spelled: how many of them `spell` would take; None if the language has no number words.
        obstacle: why it has none.
        example: such a text.
    """

    clips: int
    spelled: int | None
    obstacle: str | None
    example: str | None


def describe_texts(named_texts: Sequence[tuple[str, str]]) -> TextFacts:
    """Count what is in texts, each behind the name of its clip."""
    words = Counter(word for _, text in named_texts for word in text.split())
    letters = sum(len(word) * count for word, count in words.items())
    return TextFacts(
        words=words.total(),
        vocabulary_words=len(words),
        sentences=len({text for _, text in named_texts}),
        characters=_characters(named_texts),
        spaceless=letters > LONG_WORD_CHARACTERS * max(1, words.total()),
    )


def describe_digits(
    texts: Sequence[str], spelled: int | None, obstacle: str | None = None
) -> DigitFacts:
    """Facts about digits.

    Args:
        texts: with their digits kept.
        spelled: how many of these can be used once their numbers are words.
        obstacle: why numbers have no words.
    """
    having = [text for text in texts if DIGIT.search(text)]
    return DigitFacts(
        clips=len(having),
        spelled=None if spelled is None else spelled - (len(texts) - len(having)),
        obstacle=obstacle,
        example=having[0] if having else None,
    )


def dropped_characters(texts: Sequence[str], wide_texts: Sequence[str]) -> dict[str, int]:
    """Punctuation and symbols that are dropped, and from how many texts, the most frequent first.

    Args:
        texts: normalised.
        wide_texts: the same corpus with all punctuation and symbols kept.
    """
    dropped = set(every_symbol()).difference(*texts)
    counts = Counter(character for text in wide_texts for character in set(text) & dropped)
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


@lru_cache
def every_symbol() -> str:
    """Punctuation and symbols of all scripts."""
    characters = map(chr, range(ord("!"), 0x10000))
    wide = (c for c in characters if unicodedata.category(c)[0] in "PS" and c != WORD_DELIMITER)
    return "".join(wide)


def _characters(named_texts: Sequence[tuple[str, str]]) -> tuple[CharacterFacts, ...]:
    counts: Counter[str] = Counter()
    holders: dict[str, list[str]] = defaultdict(list)
    for name, text in named_texts:
        counts.update(text)
        for character in set(text):
            holders[character].append(f"{name}: {text}")
    del counts[" "]
    foreign = _foreign_scripts(counts)
    return tuple(
        CharacterFacts(
            character=character,
            name=unicodedata.name(character, "no name"),
            count=count,
            clips=len(holders[character]),
            example=holders[character][0],
            foreign=_script(character) in foreign,
        )
        for character, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    )


def _foreign_scripts(counts: Mapping[str, int]) -> set[str]:
    scripts: Counter[str] = Counter()
    for character, count in counts.items():
        if script := _script(character):
            scripts[script] += count
    return {s for s, count in scripts.items() if count < FOREIGN_SHARE * scripts.total()}


def _script(character: str) -> str:
    """First word of a letter's name, such as LATIN; nothing for what is no letter."""
    if not unicodedata.category(character).startswith("L"):
        return ""
    return unicodedata.name(character, "UNKNOWN").partition(" ")[0]
