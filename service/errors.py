"""Every error a caller can meet, in one tree.

    ServiceError
    ├── ClientError                the request is at fault
    │   ├── InvalidRequest    400  malformed body, missing or unknown field
    │   ├── EmptyAudio        400  no samples at all
    │   ├── AudioTooShort     400  fewer samples than one frame of the model needs
    │   ├── UnsupportedAudio  415  not audio, or a container or codec we do not read
    │   ├── TruncatedAudio    415  the stream ends before what its header promises
    │   ├── AudioTooLong      413  more seconds than allowed
    │   ├── UploadTooLarge    413  more bytes than allowed
    │   ├── Unauthorized      401  no key, or none that is valid
    │   ├── Forbidden         403  a key that does not open this
    │   ├── HeadersTooLarge   431  more bytes before the body than allowed
    │   ├── UploadStalled     408  the body came too slowly
    │   ├── StreamIdle        408  nothing came from the client of a stream for too long
    │   ├── JobNotFound       404  no such job, or its time is over
    │   └── ModelNotFound     404  no model of this name, where names are OpenAI's to choose
    ├── Overloaded            429  the queue is full; carries `retry_after_s`
    │   └── RateLimited       429  the key has used what it may
    ├── NotReady              503  loading, or draining before exit
    ├── ModelUnavailable      503  its bundle cannot be loaded now; others are served
    ├── JobsUnavailable       503  jobs cannot be kept here; the rest is served
    ├── StorageFull           507  the disk has no room for what was sent
    ├── DeadlineExceeded      504  accepted, but not done in time
    ├── InferenceFailed       500  the model failed on this input
    │   ├── OutOfMemory       500  the device has not enough memory for it, even alone
    │   └── DeviceLost        503  the device broke for good; only a restart helps
    ├── InternalError         500  nobody planned it; the log says what
    └── InvalidBundle         500  met at load and in the tools, never in a request

Flow: bytes -> audio (ClientError) -> queue (Overloaded, NotReady, DeadlineExceeded) -> model
(InferenceFailed). Routes render them in one place.
"""

from typing import Any, ClassVar


class ServiceError(Exception):
    """Base of everything this package raises on purpose.

    Attributes:
        code: stable machine-readable name, distinct for each class.
        status: HTTP status.
        ws_close: WebSocket close code.
        error_type: OpenAI's coarse class of the error.
        found: the offending value, if there is one.
        limit: the value it was held against, if there is one.
        param: the request field at fault, if there is one.
    """

    code: ClassVar[str] = "service_error"
    status: ClassVar[int] = 500
    ws_close: ClassVar[int] = 1011
    error_type: ClassVar[str] = "server_error"

    def __init__(
        self, message: str, *, found: Any = None, limit: Any = None, param: str | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.found = found
        self.limit = limit
        self.param = param


class ClientError(ServiceError):
    """The request is at fault; sending it again unchanged will fail again."""

    code = "client_error"
    status = 400
    ws_close = 1008
    error_type = "invalid_request_error"


class InvalidRequest(ClientError):
    """The body is malformed, or a field is missing or unknown."""

    code = "invalid_request"


class EmptyAudio(ClientError):
    """The file holds no samples."""

    code = "empty_audio"


class AudioTooShort(ClientError):
    """The file holds fewer samples than one frame of the model needs."""

    code = "audio_too_short"


class UnsupportedAudio(ClientError):
    """The bytes are not audio in any container and codec we read."""

    code = "unsupported_audio"
    status = 415


class TruncatedAudio(UnsupportedAudio):
    """The stream ends before what its header promises."""

    code = "truncated_audio"


class AudioTooLong(ClientError):
    """The audio lasts longer than allowed."""

    code = "audio_too_long"
    status = 413
    ws_close = 1009


class UploadTooLarge(ClientError):
    """The upload has more bytes than allowed."""

    code = "upload_too_large"
    status = 413
    ws_close = 1009


class Unauthorized(ClientError):
    """There is no key, or none that is valid."""

    code = "unauthorized"
    status = 401


class Forbidden(ClientError):
    """Whoever asks is known, or need not be, and may not do this."""

    code = "forbidden"
    status = 403


class HeadersTooLarge(ClientError):
    """What comes before the body is too large."""

    code = "headers_too_large"
    status = 431


class UploadStalled(ClientError):
    """The body came too slowly."""

    code = "upload_stalled"
    status = 408
    ws_close = 1011


class StreamIdle(ClientError):
    """Neither audio nor a message came for too long."""

    code = "stream_idle"
    status = 408
    ws_close = 1011


class JobNotFound(ClientError):
    """There is no such job, or no more."""

    code = "job_not_found"
    status = 404


class ModelNotFound(ClientError):
    """There is no model of this name."""

    code = "model_not_found"
    status = 404


class Overloaded(ServiceError):
    """The queue is full.

    Attributes:
        retry_after_s: when to try again, in seconds, from the measured rate.
    """

    code = "overloaded"
    status = 429
    ws_close = 1013
    error_type = "rate_limit_error"

    def __init__(
        self, message: str, *, retry_after_s: float, found: Any = None, limit: Any = None
    ) -> None:
        super().__init__(message, found=found, limit=limit)
        self.retry_after_s = retry_after_s


class RateLimited(Overloaded):
    """The key has used what it may use in a minute, or at once."""

    code = "rate_limited"
    ws_close = 1008


class NotReady(ServiceError):
    """The service is loading its bundle or draining before exit.

    Attributes:
        retry_after_s: when to try again, in seconds: another replica, or the next process.
    """

    retry_after_s: ClassVar[float] = 5.0
    code = "not_ready"
    status = 503
    ws_close = 1013


class ModelUnavailable(ServiceError):
    """The bundle of the model cannot be loaded now; the others are served."""

    code = "model_unavailable"
    status = 503
    ws_close = 1013


class JobsUnavailable(ServiceError):
    """Jobs cannot be kept: their folder cannot be used, or is another process's."""

    code = "jobs_unavailable"
    status = 503
    ws_close = 1013


class StorageFull(ServiceError):
    """The disk has no room for what was sent."""

    code = "storage_full"
    status = 507


class DeadlineExceeded(ServiceError):
    """The request was accepted but not finished in time."""

    code = "deadline_exceeded"
    status = 504


class InferenceFailed(ServiceError):
    """The model failed on this input."""

    code = "inference_failed"


class OutOfMemory(InferenceFailed):
    """The device has not enough memory for this batch."""

    code = "out_of_memory"


class DeviceLost(InferenceFailed):
    """The device broke for good; only a restart of the process helps."""

    code = "device_lost"
    status = 503
    ws_close = 1013


class InternalError(ServiceError):
    """Something that nobody planned."""

    code = "internal_server_error"


class InvalidBundle(ServiceError):
    """A bundle is damaged, incomplete, or not a bundle."""

    code = "invalid_bundle"
