"""What a child and its parent say to each other over a socket.

    parent                          child
    TASK, with the file         ->
                                <-  SAMPLES ...         as they are decoded
                                <-  DONE or FAILURE

of a live stream instead:

    TASK                        ->
    CHUNK                       ->
                                <-  SAMPLES ..., HUNGRY     all that the chunk completes
    END                         ->
                                <-  SAMPLES ..., DONE or FAILURE

A child may be in a stranger's hands, so the parent takes nothing from it but numbers, bounded text
and errors from a closed list; above all no pickle.
"""

import json
import math
import struct
from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import IntEnum
from typing import Any, Self

import numpy as np

from service.arrays import FloatArray
from service.audio import AudioLimits
from service.errors import (
    AudioTooLong,
    AudioTooShort,
    EmptyAudio,
    ServiceError,
    TruncatedAudio,
    UnsupportedAudio,
)

MAX_PAYLOAD_BYTES = 1 << 20
MAX_SAMPLES = (MAX_PAYLOAD_BYTES - 8) // 4  # of one message
ERRORS: dict[str, type[ServiceError]] = {
    error.code: error
    for error in (AudioTooLong, AudioTooShort, EmptyAudio, TruncatedAudio, UnsupportedAudio)
}
HEADER = struct.Struct("<BI")  # kind, bytes of the payload

# To the nursery: fork for the socket that comes along; end the process with this id.
FORK, END = b"F", b"E"
NUMBER = struct.Struct("<i")  # its answers, and ids

_SECONDS = struct.Struct("<d")


class Kind(IntEnum):
    """What a message is about."""

    TASK = 1
    CHUNK = 2
    END = 3
    SAMPLES = 4
    HUNGRY = 5
    FAILURE = 6
    DONE = 7


class Nonsense(Exception):
    """The child says what no child of ours would."""


@dataclass(frozen=True)
class Bounds:
    """What a child may take.

    Attributes:
        timeout_s: longest time of decoding, of a file or of a chunk of a live stream.
        memory_bytes: largest private memory.
    """

    timeout_s: float
    memory_bytes: int


@dataclass(frozen=True)
class Task:
    """What a child is for.

    Attributes:
        is_live: the container comes in chunks; otherwise a file comes with the task.
        limits: what to refuse.
        bounds: of the child itself.
    """

    is_live: bool
    limits: AudioLimits
    bounds: Bounds

    def packed(self) -> bytes:
        """As a payload."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def unpacked(cls, payload: bytes) -> Self:
        """From a payload of our own."""
        said = json.loads(payload)
        return cls(said["is_live"], AudioLimits(**said["limits"]), Bounds(**said["bounds"]))


def message(kind: Kind, payload: bytes = b"") -> bytes:
    """A message with its header."""
    return HEADER.pack(kind, len(payload)) + payload


def header(packed: bytes) -> tuple[Kind, int]:
    """Kind and payload bytes.

    Raises:
        Nonsense: no such kind, or too many bytes.
    """
    number, size_bytes = HEADER.unpack(packed)
    if size_bytes > MAX_PAYLOAD_BYTES or number not in set(Kind):
        raise Nonsense(f"a message of kind {number} with {size_bytes} bytes")
    return Kind(number), size_bytes


def receive(read: Callable[[int], bytes]) -> tuple[Kind, bytes]:
    """The next message.

    Args:
        read: exactly so many bytes.
    """
    kind, size_bytes = header(read(HEADER.size))
    return kind, read(size_bytes) if size_bytes else b""


def samples_payload(seconds: float, samples: FloatArray) -> bytes:
    """Samples `[samples]`, and the seconds that the file promises or gave by now."""
    return _SECONDS.pack(seconds) + samples.tobytes()


def read_samples(payload: bytes) -> tuple[float, FloatArray]:
    """What `samples_payload` was given.

    Raises:
        Nonsense: it is no such payload.
    """
    if len(payload) < _SECONDS.size or len(payload) % 4:
        raise Nonsense(f"{len(payload)} bytes of samples")
    (seconds,) = _SECONDS.unpack_from(payload)
    if not math.isfinite(seconds):
        raise Nonsense(f"{seconds} s of audio")
    return seconds, np.frombuffer(payload, np.float32, offset=_SECONDS.size)


def failure_payload(error: ServiceError) -> bytes:
    """An error that is the file's fault."""
    return json.dumps([error.code, error.message, error.found, error.limit]).encode()


def read_failure(payload: bytes) -> ServiceError:
    """What `failure_payload` was given.

    Raises:
        Nonsense: it is no such payload, or another error than a file's.
    """
    try:
        code, text, found, limit = json.loads(payload)
        return ERRORS[code](_short(text), found=_short(found), limit=_short(limit))
    except (KeyError, TypeError, ValueError) as error:
        raise Nonsense(f"a failure in {len(payload)} bytes") from error


def _short(value: Any) -> Any:  # noqa: ANN401  as in `ServiceError`
    return value[:500] if isinstance(value, str) else value
