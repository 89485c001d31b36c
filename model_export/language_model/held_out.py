"""Keeping the sentences of test sets out of a language model's text.

A sentence goes if it equals a held-out one, or shares any eight words in a row with one. Equality
counts whatever the length; so the word "hello" may still stand inside a sentence although a prompt
that is nothing but "hello" is held out: no text of a language could avoid it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

SHARED_WORDS = 8


@dataclass(frozen=True)
class HeldOut:
    """What no sentence may repeat.

    Attributes:
        sentences: normalised.
        sequences: every eight words in a row.
    """

    sentences: frozenset[str]
    sequences: frozenset[tuple[str, ...]]

    @classmethod
    def of(cls, sentences: Iterable[str]) -> "HeldOut":
        """What normalised sentences hold out."""
        held_out = frozenset(sentences)
        return cls(held_out, frozenset(s for text in held_out for s in _sequences(text)))

    def repeated_by(self, sentence: str) -> bool:
        """Whether a normalised sentence has to go."""
        return sentence in self.sentences or not self.sequences.isdisjoint(_sequences(sentence))


NOTHING_HELD_OUT = HeldOut(frozenset(), frozenset())


def _sequences(sentence: str) -> Iterator[tuple[str, ...]]:
    words = sentence.split()
    return zip(*(words[start:] for start in range(SHARED_WORDS)), strict=False)
