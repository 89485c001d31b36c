"""What the session needs of whatever turns an utterance's audio into words."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from service.arrays import FloatArray
from service.ctc import Word


class Kind(StrEnum):
    """How a stream is recognised.

    `INCREMENTAL`: a streaming graph takes each chunk once. `WINDOWED`: a bounded window is heard
    again and again.
    """

    INCREMENTAL = "incremental"
    WINDOWED = "windowed"


@dataclass(frozen=True)
class Hypothesis:
    """What an utterance says so far; times in seconds from the utterance's beginning.

    Attributes:
        words: all of them.
        stable_chars: so many characters of the text will not change.
        end_s: up to where the audio was looked at.
    """

    words: tuple[Word, ...]
    stable_chars: int
    end_s: float

    @property
    def text(self) -> str:
        """The words, joined by single spaces."""
        return text_of(self.words)


class Recogniser(Protocol):
    """Hears one utterance after the other; each starts from nothing."""

    async def feed(self, block: FloatArray, *, wants_partial: bool) -> Hypothesis | None:
        """Take more of the utterance.

        Args:
            block: `[samples]`, behind the ones before.
            wants_partial: whether it is worth the effort to say what was heard so far.

        Returns:
            What was heard, if there is anything newer than the last time.

        Raises:
            ServiceError: it could not be computed.
        """
        ...

    async def finish(self) -> tuple[Word, ...]:
        """The utterance is over: its words, and a new beginning."""
        ...

    @property
    def heard_nothing_s(self) -> float:
        """How long the end of the utterance was without letters, behind some; 0 if unknown."""
        ...


def text_of(words: Sequence[Word]) -> str:
    """The words, joined by single spaces."""
    return " ".join(word.word for word in words)


def stable_chars(settled: Sequence[Word], words: Sequence[Word]) -> int:
    """Characters of the words' text that belong to the settled ones at its beginning."""
    chars = len(text_of(settled))
    return chars + 1 if chars and len(words) > len(settled) else chars
