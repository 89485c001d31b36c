"""What goes over the wire as JSON; times in seconds."""

from http import HTTPStatus
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from service.errors import ClientError, ServiceError
from service.transcriber import Transcription

Seconds = Annotated[float, AfterValidator(lambda value: round(value, 4))]
Probability = Annotated[float, Field(ge=0, le=1), AfterValidator(lambda value: round(value, 4))]


class Wire(BaseModel):
    """Base of everything that goes over the wire."""

    model_config = ConfigDict(
        frozen=True, from_attributes=True, protected_namespaces=(), use_attribute_docstrings=True
    )


class WordBody(Wire):
    """One recognised word."""

    word: str
    start_s: Seconds
    end_s: Seconds
    confidence: Probability
    """Probability, per letter, that just this word is said there."""


class TimingBody(Wire):
    """Where the time of the request went."""

    decode_s: Seconds
    queue_s: Seconds
    inference_s: Seconds
    ctc_s: Seconds
    total_s: Seconds
    """From the received file to the text; the upload is not part of it."""


class TranscriptionBody(Wire):
    """Answer of `POST /transcribe`."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "text": "good morning",
                "duration_s": 1.52,
                "language": "en",
                "model": "english",
                "request_id": "7d0b5e1c9a3f4c57b6f1a0e2d4c8b691",
                "words": [
                    {"word": "good", "start_s": 0.1, "end_s": 0.42, "confidence": 0.97},
                    {"word": "morning", "start_s": 0.5, "end_s": 1.1, "confidence": 0.93},
                ],
                "timing": {
                    "decode_s": 0.004,
                    "queue_s": 0.002,
                    "inference_s": 0.03,
                    "ctc_s": 0.001,
                    "total_s": 0.04,
                },
            }
        }
    )

    text: str
    """Empty for silence."""
    duration_s: Seconds
    language: str | None
    """The one asked for, or the model's only one."""
    model: str
    request_id: str | None
    words: tuple[WordBody, ...]
    timing: TimingBody

    @classmethod
    def of(cls, result: Transcription, request_id: str | None = None) -> Self:
        """The body for a transcribed file."""
        return cls(
            text=result.transcript.text,
            duration_s=result.duration_s,
            language=result.language,
            model=result.model,
            request_id=request_id,
            words=tuple(WordBody.model_validate(word) for word in result.transcript.words),
            timing=TimingBody.model_validate(result.timing),
        )


class ErrorDetail(Wire):
    """What went wrong."""

    message: str
    type: str
    """Coarse class: invalid_request_error, rate_limit_error or server_error."""
    code: str
    """Stable name of the error."""
    param: str | None = None
    """The request field at fault."""
    found: Any = None
    """The offending value."""
    limit: Any = None
    """What it was held against."""


class ErrorBody(Wire):
    """Body of every answer from status 400 on."""

    error: ErrorDetail

    @classmethod
    def of(cls, error: ServiceError) -> Self:
        """The body for an error."""
        return cls(
            error=ErrorDetail(
                message=error.message,
                type=error.error_type,
                code=error.code,
                param=error.param,
                found=error.found,
                limit=error.limit,
            )
        )

    @classmethod
    def of_status(cls, status: HTTPStatus) -> Self:
        """The body for what has no error of ours: the status says it all."""
        kind = ClientError if status < HTTPStatus.INTERNAL_SERVER_ERROR else ServiceError
        return cls(
            error=ErrorDetail(
                message=status.description or status.phrase,
                type=kind.error_type,
                code=status.name.lower(),
            )
        )


class HealthBody(Wire):
    """Answer of the health endpoints while all is well."""

    status: str


class ModelBody(Wire):
    """A model that runs."""

    name: str
    languages: tuple[str, ...]
    file: str
    runtime: str
    precision: str
    device: str
    decoding: str
    """Of requests that name none."""
    decodings: tuple[str, ...]
    """What a request may ask for."""


class OfferBody(Wire):
    """A model that a request may ask for."""

    name: str
    languages: tuple[str, ...]
    is_loaded: bool
    """If not, it is when it is asked for."""


class ChangeBody(Wire):
    """What became of a bundle's folder that was new, another, or gone."""

    folder: str
    outcome: Literal["loaded", "listed", "failed", "removed"]
    """Listed: it will be loaded on demand. Failed: what was served from it still is."""
    model: str | None
    """Name of what is served from it."""
    message: str | None
    """What is wrong with it."""


class ReloadBody(Wire):
    """Answer of `POST /admin/reload`."""

    changes: tuple[ChangeBody, ...]


class VersionBody(Wire):
    """Answer of `GET /version`."""

    version: str
    model: ModelBody | None
    """Of requests that name none; None until it is loaded."""
    models: tuple[OfferBody, ...]
    """All of them, that one first."""
