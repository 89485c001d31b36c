"""Messages of `WS /v1/listen`, as Deepgram's clients know them from its live API.

What a client asks for is read by `service.protocols.deepgram_query`.
"""

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import Field

from service.ctc import Word
from service.errors import InvalidRequest, ServiceError
from service.protocols.deepgram_query import Listening
from service.schemas import Probability, Seconds, Wire
from service.streaming.events import Final, FinalReason, Partial, SpeechStarted, UtteranceEnd
from service.streaming.stream import Heard

CHANNEL = (0, 1)  # of the first one, there is one: channels are averaged


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
