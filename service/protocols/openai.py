"""Answers of OpenAI's transcription API; times in seconds.

Where a client expects what we do not estimate, the field is there and says nothing: `tokens` is
empty, `no_speech_prob` and `temperature` are 0. `confidence` of words is ours.
"""

import math
import zlib
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, Self

from pydantic import ConfigDict, Field

from service.ctc import Transcript, Word
from service.protocols.openai_form import Asked
from service.schemas import Probability, Seconds, Wire
from service.subtitles import Phrase, phrases, srt, text_of, vtt
from service.transcriber import Transcription

OWNER = "wsm-stt"
UNDETERMINED = "und"  # language of what a model of several has heard, by ISO 639-2
SEEK_PER_S = 100  # Whisper counts hops of 10 ms
USAGE: dict[str, Any] = {"type": "duration", "seconds": 3}


class Usage(Wire):
    """What was transcribed."""

    type: Literal["duration"] = "duration"
    seconds: int
    """Begun seconds count."""

    @classmethod
    def of(cls, duration_s: float) -> Self:
        """For audio of this length."""
        return cls(seconds=math.ceil(duration_s))


class TextBody(Wire):
    """Answer with `response_format=json`."""

    model_config = ConfigDict(json_schema_extra={"example": {"text": "good day", "usage": USAGE}})

    text: str
    """Empty for silence."""
    usage: Usage


class WordTime(Wire):
    """One word."""

    word: str
    start: Seconds
    end: Seconds
    confidence: Probability


class Segment(Wire):
    """What is said between two pauses, or as much as a subtitle holds."""

    id: int
    seek: int
    start: Seconds
    end: Seconds
    text: str
    tokens: tuple[int, ...] = ()
    temperature: float = 0.0
    avg_logprob: float
    """Mean natural logarithm of the words' confidences, by their characters."""
    compression_ratio: float
    no_speech_prob: float = 0.0

    @classmethod
    def of(cls, number: int, phrase: Phrase) -> Self:
        """For the words of a phrase."""
        text = text_of(phrase)
        return cls(
            id=number,
            seek=int(phrase[0].start_s * SEEK_PER_S),
            start=phrase[0].start_s,
            end=phrase[-1].end_s,
            text=text,
            avg_logprob=round(_mean_logprob(phrase), 4),
            compression_ratio=round(len(text.encode()) / len(zlib.compress(text.encode())), 4),
        )


class VerboseBody(Wire):
    """Answer with `response_format=verbose_json`."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "task": "transcribe",
                "language": "en",
                "duration": 2.8,
                "text": "good day",
                "segments": [
                    {
                        "id": 0,
                        "seek": 10,
                        "start": 0.1,
                        "end": 1.1,
                        "text": "good day",
                        "tokens": [],
                        "temperature": 0.0,
                        "avg_logprob": -0.05,
                        "compression_ratio": 0.5,
                        "no_speech_prob": 0.0,
                    }
                ],
                "words": [
                    {"word": "good", "start": 0.1, "end": 0.42, "confidence": 0.97},
                    {"word": "day", "start": 0.5, "end": 1.1, "confidence": 0.93},
                ],
                "usage": USAGE,
            }
        }
    )

    task: Literal["transcribe"] = "transcribe"
    language: str
    """A code; `und` if the model has several and none was asked for."""
    duration: Seconds
    text: str
    segments: tuple[Segment, ...] | None = None
    """Unless only words are asked for."""
    words: tuple[WordTime, ...] | None = None
    """If asked for."""
    usage: Usage

    @classmethod
    def of(cls, result: Transcription, asked: Asked) -> Self:
        """The body for a transcribed file."""
        words, segments = result.transcript.words, None
        if "segment" in asked.granularities:
            segments = tuple(Segment.of(*one) for one in enumerate(phrases(words)))
        return cls(
            language=result.language or UNDETERMINED,
            duration=result.duration_s,
            text=result.transcript.text,
            segments=segments,
            words=tuple(map(_word_time, words)) if "word" in asked.granularities else None,
            usage=Usage.of(result.duration_s),
        )


class DeltaEvent(Wire):
    """More text; all of them together are the text."""

    type: Literal["transcript.text.delta"] = "transcript.text.delta"
    delta: str
    words: tuple[WordTime, ...] | None = None
    """If word times are asked for; OpenAI's has none."""


class DoneEvent(Wire):
    """All text."""

    type: Literal["transcript.text.done"] = "transcript.text.done"
    text: str
    usage: Usage
    duration: Seconds | None = None
    """With word times, like the next two."""
    language: str | None = None
    model: str | None = None


class ModelObject(Wire):
    """A model."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "id": "english",
                "object": "model",
                "created": 1767225600,
                "owned_by": OWNER,
            }
        }
    )

    id: str
    object: Literal["model"] = "model"
    created: int
    """When its bundle was written here, in seconds since 1970."""
    owned_by: str = OWNER


class ModelList(Wire):
    """All models."""

    object: Literal["list"] = "list"
    data: tuple[ModelObject, ...] = Field(min_length=1)


class Answer(NamedTuple):
    """A body and its media type."""

    content: str
    media_type: str


def answer(result: Transcription, asked: Asked) -> Answer:
    """A transcribed file in the format that is asked for."""
    transcript, duration_s = result.transcript, result.duration_s
    match asked.response_format:
        case "text":
            return Answer(f"{transcript.text}\n", "text/plain")
        case "srt":
            return Answer(srt(transcript.words, duration_s), "application/x-subrip")
        case "vtt":
            return Answer(vtt(transcript.words, duration_s), "text/vtt")
        case "verbose_json":
            body: Wire = VerboseBody.of(result, asked)
        case "json":
            body = TextBody(text=transcript.text, usage=Usage.of(duration_s))
    return Answer(body.model_dump_json(exclude_none=True), "application/json")


def delta(words: Sequence[Word], asked: Asked, *, is_first: bool) -> DeltaEvent:
    """The event for words; they are set off from those before."""
    return DeltaEvent(
        delta=("" if is_first else " ") + Transcript.of(words).text,
        words=tuple(map(_word_time, words)) if "word" in asked.granularities else None,
    )


def done(result: Transcription, asked: Asked) -> DoneEvent:
    """The last event."""
    event = DoneEvent(text=result.transcript.text, usage=Usage.of(result.duration_s))
    if "word" not in asked.granularities:
        return event
    about = {"duration": result.duration_s, "language": result.language, "model": result.model}
    return event.model_copy(update=about)


def _word_time(word: Word) -> WordTime:
    return WordTime(word=word.word, start=word.start_s, end=word.end_s, confidence=word.confidence)


def _mean_logprob(phrase: Phrase) -> float:
    characters = sum(len(word.word) for word in phrase)
    logs = (len(word.word) * math.log(max(word.confidence, 1e-9)) for word in phrase)
    return sum(logs) / characters
