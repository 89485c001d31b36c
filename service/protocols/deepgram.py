"""Messages of `WS /v1/listen`, as Deepgram's clients know them from its live API.

What is asked for in the query and not had here, such as punctuation or names of its models, is
ignored, unless the answer would mean something else: then it is refused.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, Protocol

from pydantic import Field

from service.ctc import Word
from service.errors import InvalidRequest, ServiceError
from service.options import Options
from service.schemas import Probability, Seconds, Wire
from service.streaming.events import Final, FinalReason, Partial, SpeechStarted, UtteranceEnd
from service.streaming.sources import AudioFormat, Encoding
from service.streaming.stream import Heard
from service.streaming.streams import Wish

ENCODINGS: dict[str, Encoding] = {
    "": "container",
    "linear16": "pcm_s16le",
    "linear32": "f32le",
    "mulaw": "mulaw",
    "alaw": "alaw",
    "ogg-opus": "container",
    "flac": "container",
}
CHANNEL = (0, 1)  # of the first one, there is one: channels are averaged


class Query(Protocol):
    """Query parameters, which may come several times."""

    def get(self, key: str, default: str, /) -> str:
        """The last value of this name."""
        ...

    def getlist(self, key: str, /) -> Sequence[str]:
        """All values of this name."""
        ...


class DeepgramWord(Wire):
    """One word."""

    word: str
    start: Seconds
    end: Seconds
    confidence: Probability
    punctuated_word: str
    """The same: nothing is punctuated."""

    @classmethod
    def of(cls, word: Word) -> "DeepgramWord":
        """The message's part for a word."""
        return cls(
            word=word.word,
            start=word.start_s,
            end=word.end_s,
            confidence=word.confidence,
            punctuated_word=word.word,
        )


class Alternative(Wire):
    """What is said, in the only way it is told."""

    transcript: str
    confidence: Probability
    """Mean of the words'."""
    words: tuple[DeepgramWord, ...]


class Channel(Wire):
    """What the channel says."""

    alternatives: tuple[Alternative, ...]


class ModelInfo(Wire):
    """The model that runs."""

    name: str
    version: str
    arch: str = "ctc"


class ResultsMetadata(Wire):
    """Where a result comes from."""

    request_id: str
    model_info: ModelInfo
    model_uuid: str
    """The model's name."""


class Results(Wire):
    """A part of the stream, said so far or for good."""

    type: Literal["Results"] = "Results"
    channel_index: tuple[int, int] = CHANNEL
    duration: Seconds
    start: Seconds
    is_final: bool
    """This part will not change."""
    speech_final: bool
    """Silence ended the utterance."""
    from_finalize: bool
    channel: Channel
    metadata: ResultsMetadata


class SpeechStartedMessage(Wire):
    """A sound; with `vad_events` only."""

    type: Literal["SpeechStarted"] = "SpeechStarted"
    channel: tuple[int, int] = CHANNEL
    timestamp: Seconds


class UtteranceEndMessage(Wire):
    """Nobody spoke for `utterance_end_ms`."""

    type: Literal["UtteranceEnd"] = "UtteranceEnd"
    channel: tuple[int, int] = CHANNEL
    last_word_end: Seconds


class Metadata(Wire):
    """The end, and what it was."""

    type: Literal["Metadata"] = "Metadata"
    transaction_key: str = "deprecated"
    request_id: str
    sha256: str
    """Of the audio as it was sent."""
    created: str
    duration: Seconds
    channels: int
    models: tuple[str, ...]
    model_info: dict[str, ModelInfo]


class DeepgramError(Wire):
    """What went wrong; the socket is closed."""

    type: Literal["Error"] = "Error"
    variant: str
    """Stable name of the error, as in answers over HTTP."""
    description: str
    message: str

    @classmethod
    def of(cls, error: ServiceError) -> "DeepgramError":
        """The message for an error."""
        return cls(variant=error.code, description=error.message, message=error.message)


class Control(Wire):
    """What a client sends as text: Finalize, KeepAlive or CloseStream; others are ignored."""

    type: str = Field(examples=["Finalize", "KeepAlive", "CloseStream"])


SERVER_MESSAGES = (Results, SpeechStartedMessage, UtteranceEndMessage, Metadata, DeepgramError)


@dataclass(frozen=True)
class Listening:
    """What the query asks for.

    Attributes:
        wish: of the stream.
        vad_events: tell when a sound begins.
    """

    wish: Wish
    vad_events: bool

    @classmethod
    def of(cls, query: Query, *, silence_s: float, languages: Sequence[str]) -> "Listening":
        """Read the query.

        Args:
            query: of the request.
            silence_s: what ends an utterance where the query does not say.
            languages: what is served; `en-US` finds `en`.

        Raises:
            InvalidRequest: a value cannot be read, or promises what is not had.
        """
        channels = _number(query, "channels", 1)
        if channels > 1 and _is_true(query, "multichannel"):
            raise _refused("multichannel", "true", "channels are averaged, not told apart")
        encoding = query.get("encoding", "")
        if encoding not in ENCODINGS:
            raise _refused("encoding", encoding, f"there is {', '.join(filter(None, ENCODINGS))}")
        rate_hz = _number(query, "sample_rate", 8000 if encoding.endswith("law") else 16_000)
        utterance_end_ms = _number(query, "utterance_end_ms", 0)
        wish = Wish(
            AudioFormat(ENCODINGS[encoding], rate_hz, channels),
            Options.of(
                {
                    "language": _language(query.get("language", ""), languages),
                    "hot_words": ",".join(query.getlist("keyterm")),
                }
            ),
            interim=_is_true(query, "interim_results"),
            silence_s=_silence_s(query, silence_s),
            utterance_end_s=utterance_end_ms / 1000 if utterance_end_ms else None,
        )
        return cls(wish, _is_true(query, "vad_events"))


@dataclass
class Teller:
    """Puts events into Deepgram's words.

    Attributes:
        request_id: of the stream.
        model: name and version.
        listening: what the query asked for.
        digest: of the audio as it was sent.
        created: when the stream began.
    """

    request_id: str
    model: ModelInfo
    listening: Listening
    digest: Any = field(default_factory=hashlib.sha256)
    created: datetime = field(default_factory=lambda: datetime.now(UTC))

    def messages_for(self, event: Heard) -> tuple[Wire, ...]:
        """What the client is told of an event."""
        match event:
            case SpeechStarted() if self.listening.vad_events:
                return (SpeechStartedMessage(timestamp=event.start_s),)
            case UtteranceEnd():
                return (UtteranceEndMessage(last_word_end=event.last_word_end_s),)
            case Partial() | Final():
                return (self._results(event),)
            case _:
                return ()

    def metadata(self, duration_s: float) -> Metadata:
        """The last message of a stream that lasted so long."""
        return Metadata(
            request_id=self.request_id,
            sha256=self.digest.hexdigest(),
            created=self.created.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            duration=duration_s,
            channels=self.listening.wish.audio.channels,
            models=(self.model.name,),
            model_info={self.model.name: self.model},
        )

    def _results(self, event: Partial | Final) -> Results:
        reason = event.reason if isinstance(event, Final) else None
        words = event.words
        confidence = sum(word.confidence for word in words) / len(words) if words else 0.0
        alternative = Alternative(
            transcript=event.text,
            confidence=confidence,
            words=tuple(map(DeepgramWord.of, words)),
        )
        return Results(
            duration=event.end_s - event.start_s,
            start=event.start_s,
            is_final=reason is not None,
            speech_final=reason is FinalReason.SILENCE,
            from_finalize=reason is FinalReason.FINALIZE,
            channel=Channel(alternatives=(alternative,)),
            metadata=ResultsMetadata(
                request_id=self.request_id, model_info=self.model, model_uuid=self.model.name
            ),
        )


def parse(text: str) -> str:
    """The type of a client's control message.

    Raises:
        InvalidRequest: it is not JSON with a type.
    """
    try:
        return Control.model_validate_json(text).type
    except ValueError as error:
        raise InvalidRequest(
            "not a control message: expected JSON with a type", found=text[:100]
        ) from error


def _language(asked: str, languages: Sequence[str]) -> str | None:
    """The served language that is meant; what is not served is left to be refused."""
    if asked in {"", "multi"}:
        return None
    base = asked.partition("-")[0].lower()
    return base if asked not in languages and base in languages else asked


def _silence_s(query: Query, usual_s: float) -> float | None:
    match query.get("endpointing", "").lower():
        case "" | "true":
            return usual_s
        case "false":
            return None
        case _:
            return _number(query, "endpointing", 0) / 1000


def _number(query: Query, name: str, default: int) -> int:
    text = query.get(name, "")
    if not text:
        return default
    if not text.isdecimal() or len(text) > 9:
        raise _refused(name, text, "it must be a whole number")
    return int(text)


def _is_true(query: Query, name: str) -> bool:
    return query.get(name, "").lower() == "true"


def _refused(param: str, found: str, why: str) -> InvalidRequest:
    return InvalidRequest(f"{param} is {found!r}: {why}", found=found, param=param)
