"""Hot words in a prompt: the names and terms that it mentions; pure functions.

OpenAI's models continue the text of a prompt; ours can expect words. A list of terms is taken as it
is; of prose only what is written with a capital inside a sentence.
"""

import re
from collections.abc import Iterator
from itertools import groupby

LONGEST_TERM_WORDS = 3  # of an entry in a list; what is longer is prose
LONGEST_NAME_WORDS = 4  # neighbouring capitals beyond are a heading

_HEADING = re.compile(r"^\s*\w+\s*:")  # "Glossary: ..."
_SEPARATORS = re.compile(r"[,;\n、，；،]")  # noqa: RUF001
_TITLES = re.compile(r"\b(Mr|Mrs|Ms|Dr|Prof|St|Jr|Sr)\.\s+")  # no ends of sentences
_SENTENCE_ENDS = re.compile(r"(?<=[.?!…])\s+|\n+")
_MARKS = " \t\r\"'“”‘’«»()[]{}<>*_-–—:,;.?!…"  # noqa: RUF001


def hot_words_of(prompt: str) -> tuple[str, ...]:
    """What to expect, none twice, in the order of the prompt.

    Args:
        prompt: "Elliot, New York", or sentences in which such names occur.
    """
    terms = _terms(_HEADING.sub("", prompt))
    found = terms if terms is not None else _names(prompt)
    return tuple(dict.fromkeys(filter(None, found)))


def _terms(prompt: str) -> list[str] | None:
    """The entries of a list; None if it is prose."""
    entries = [_bare(entry) for entry in _SEPARATORS.split(prompt)]
    is_prose = any(
        len(entry.split()) > LONGEST_TERM_WORDS or _SENTENCE_ENDS.search(entry) for entry in entries
    )
    return None if is_prose else entries


def _names(prose: str) -> Iterator[str]:
    """Neighbouring words with capitals, but for the first word of a sentence."""
    for sentence in _SENTENCE_ENDS.split(_TITLES.sub("", prose)):
        for part in _SEPARATORS.split(" ".join(["", *sentence.split()[1:]])):
            for has_capital, members in groupby(part.split(), key=_has_capital):
                words = [_bare(word) for word in members]
                if has_capital and len(words) <= LONGEST_NAME_WORDS:
                    yield " ".join(words)


def _has_capital(word: str) -> bool:
    bare = _bare(word)
    return bare[:1].isupper() and bare[:2].isalpha() and len(bare) > 1  # not "I", nor "I'm"


def _bare(text: str) -> str:
    return " ".join(text.strip(_MARKS).split())
