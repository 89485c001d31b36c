"""Messages of `WS /vosk`, as clients of vosk-server know them.

One text for each binary message: a result if an utterance ended in it, else the partial. JSON is
read however it is spaced. A model that a client names is not looked for: paths are the operator's.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ConfigDict, Field, ValidationError

from service.ctc import Word
from service.errors import InvalidRequest, ServiceError
from service.options import MAX_HOT_WORD_CHARACTERS, MAX_HOT_WORDS
from service.schemas import Probability, Seconds, Wire
from service.streaming.events import Final

RATE_HZ = 8000  # vosk-server's own, where a client does not tell
UNKNOWN = "[unk]"  # in a list of phrases: anything else


class VoskWord(Wire):
    """One word."""

    conf: Probability
    end: Seconds
    start: Seconds
    word: str

    @classmethod
    def of(cls, word: Word) -> "VoskWord":
        """The message's part for a word."""
        return cls(conf=word.confidence, end=word.end_s, start=word.start_s, word=word.word)


class VoskPartial(Wire):
    """What the utterance says so far."""

    partial: str


class VoskResult(Wire):
    """What was said in an utterance."""

    result: tuple[VoskWord, ...] | None = None
    """Unless there are none, or `words` is false."""
    text: str


class VoskAlternative(Wire):
    """One of the ways to hear it; there is only one."""

    confidence: Probability
    result: tuple[VoskWord, ...] | None = None
    text: str


class VoskAlternatives(Wire):
    """What was said, where `max_alternatives` is above 0."""

    alternatives: tuple[VoskAlternative, ...]


class VoskError(Wire):
    """What went wrong; the socket is closed."""

    error: str
    code: str

    @classmethod
    def of(cls, error: ServiceError) -> "VoskError":
        """The message for an error."""
        return cls(error=error.message, code=error.code)


class VoskConfig(Wire):
    """What a client may set, at any time; what it leaves out stays."""

    model_config = ConfigDict(coerce_numbers_to_str=False)

    sample_rate: float | None = Field(default=None, ge=1, le=1e6)
    words: bool | None = None
    max_alternatives: int | None = None
    phrase_list: tuple[str, ...] | None = None
    """Their words are made likelier, where there is a language model; others stay possible."""


class VoskMessage(Wire):
    """What a client sends as text; all else that it holds is ignored."""

    config: VoskConfig | None = None
    eof: Any = None
    reset: Any = None


SERVER_MESSAGES = (VoskPartial, VoskResult, VoskAlternatives, VoskError)


@dataclass(frozen=True)
class Setup:
    """What a client has set.

    Attributes:
        sample_rate_hz: of its audio.
        hot_words: what it expects.
        has_words: whether results list the words.
        has_alternatives: whether results are alternatives.
    """

    sample_rate_hz: int = RATE_HZ
    hot_words: tuple[str, ...] = ()
    has_words: bool = True
    has_alternatives: bool = False

    def changed_by(self, config: VoskConfig) -> "Setup":
        """This, with what a client has set anew."""
        changes: dict[str, Any] = {
            "sample_rate_hz": config.sample_rate and round(config.sample_rate),
            "hot_words": config.phrase_list and _hot_words(config.phrase_list),
            "has_words": config.words,
            "has_alternatives": config.max_alternatives and config.max_alternatives > 0,
        }
        return replace(self, **{key: one for key, one in changes.items() if one is not None})

    def result(self, finals: Sequence[Final]) -> VoskResult | VoskAlternatives:
        """The message for all that ended since the last one."""
        words = [word for final in finals for word in final.words]
        text = " ".join(final.text for final in finals if final.text)
        listed = tuple(map(VoskWord.of, words)) if words and self.has_words else None
        if not self.has_alternatives:
            return VoskResult(result=listed, text=text)
        confidence = sum(word.confidence for word in words) / max(1, len(words))
        alternative = VoskAlternative(confidence=confidence, result=listed, text=text)
        return VoskAlternatives(alternatives=(alternative,))


def parse(text: str) -> VoskMessage:
    """Read a client's text message.

    Raises:
        InvalidRequest: it is no JSON object, or its configuration cannot be read.
    """
    try:
        return VoskMessage.model_validate(json.loads(text))
    except (ValidationError, ValueError, RecursionError) as error:
        raise InvalidRequest(
            "not a message of this protocol: expected JSON with config, eof or reset",
            found=text[:100],
        ) from error


def _hot_words(phrases: Sequence[str]) -> tuple[str, ...]:
    """The words of all phrases: there, too, a list of phrases says which words may come."""
    words = (word for phrase in phrases if phrase != UNKNOWN for word in phrase.split())
    short = (word for word in words if len(word) <= MAX_HOT_WORD_CHARACTERS and "," not in word)
    return tuple(dict.fromkeys(short))[:MAX_HOT_WORDS]
