"""Messages of `WS /ws/transcribe`."""

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, ValidationError

from service.errors import InvalidRequest, ServiceError
from service.options import Options
from service.schemas import Seconds, Wire, WordBody
from service.streaming.events import Final, Partial
from service.streaming.recogniser import Kind
from service.streaming.sources import AudioFormat
from service.streaming.stream import Heard


class Start(Wire):
    """The first message; audio follows as binary messages, cut anywhere."""

    type: Literal["start"]
    encoding: Literal["pcm_s16le", "f32le", "container"]
    """Of the binary messages; a container, such as webm or ogg, tells rate and channels itself."""
    sample_rate: Annotated[int, Field(ge=1)] = 16_000
    """In hertz."""
    channels: Annotated[int, Field(ge=1)] = 1
    """Interleaved; they are averaged."""
    language: str | None = None
    """Code of what is spoken; it finds the model that knows it."""
    model: str | None = None
    """Name of a model, from `GET /version`."""
    interim: bool = True
    """Whether `partial` messages are wanted."""
    decoding: str | None = None
    """How words are found: greedy, beam or attention."""
    hot_words: str | None = None
    """To expect, with commas between them."""

    @property
    def audio_format(self) -> AudioFormat:
        """What the binary messages hold."""
        return AudioFormat(self.encoding, self.sample_rate, self.channels)

    @property
    def options(self) -> Options:
        """What is asked for.

        Raises:
            InvalidRequest: there is no such decoding, or too many or too long hot words.
        """
        return Options.of(self.model_dump(include={"language", "model", "decoding", "hot_words"}))


class Finalize(Wire):
    """End the utterance now; its `final` follows, and may be empty."""

    type: Literal["finalize"]


class KeepAlive(Wire):
    """Nothing to say, but still here."""

    type: Literal["keepalive"]


class Stop(Wire):
    """No more audio comes: the last `final`, then `done`, then the end."""

    type: Literal["stop"]


ClientMessage = Annotated[Start | Finalize | KeepAlive | Stop, Field(discriminator="type")]


class Ready(Wire):
    """Audio may come."""

    type: Literal["ready"] = "ready"
    kind: Kind
    latency_ms: float
    """From a sample to the first partial that can hold it, if computing took no time."""


class PartialMessage(Wire):
    """What the utterance says so far; replaces the one before."""

    type: Literal["partial"] = "partial"
    text: str
    stable_chars: Annotated[int, Field(ge=0)]
    """So many characters stand in every later partial of this utterance; with kind `windowed` in
    its final, too. With kind `incremental` the final is read anew, and better."""
    start_s: Seconds


class FinalMessage(Wire):
    """What an utterance said; this one only."""

    type: Literal["final"] = "final"
    text: str
    words: tuple[WordBody, ...]
    start_s: Seconds
    end_s: Seconds


class ErrorMessage(Wire):
    """What went wrong; the socket is closed."""

    type: Literal["error"] = "error"
    code: str
    """Stable name of the error, as in answers over HTTP."""
    message: str

    @classmethod
    def of(cls, error: ServiceError) -> "ErrorMessage":
        """The message for an error."""
        return cls(code=error.code, message=error.message)


class Done(Wire):
    """Everything was said; the socket is closed."""

    type: Literal["done"] = "done"


CLIENT_MESSAGES = (Start, Finalize, KeepAlive, Stop)
SERVER_MESSAGES = (Ready, PartialMessage, FinalMessage, ErrorMessage, Done)

_CLIENT_MESSAGE: TypeAdapter[Start | Finalize | KeepAlive | Stop] = TypeAdapter(ClientMessage)


def parse(text: str) -> Start | Finalize | KeepAlive | Stop:
    """Read a client's text message.

    Raises:
        InvalidRequest: it is not one.
    """
    try:
        return _CLIENT_MESSAGE.validate_json(text)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in fault["loc"][1:]) or None
        where = f" in {place}" if place else ""
        raise InvalidRequest(
            f"not a message of this protocol{where}: {fault['msg']}",
            found=str(fault["input"])[:100],
            param=place,
        ) from error


def messages_for(event: Heard) -> tuple[Wire, ...]:
    """What the client is told of an event."""
    match event:
        case Partial():
            return (
                PartialMessage(
                    text=event.text, stable_chars=event.stable_chars, start_s=event.start_s
                ),
            )
        case Final():
            return (
                FinalMessage(
                    text=event.text,
                    words=tuple(WordBody.model_validate(word) for word in event.words),
                    start_s=event.start_s,
                    end_s=event.end_s,
                ),
            )
        case _:
            return ()
