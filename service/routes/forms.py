"""What the routes share that take audio files."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any, NoReturn, TypeVar, cast, get_args

from fastapi import Request
from starlette.requests import ClientDisconnect

from service.errors import (
    AudioTooLong,
    AudioTooShort,
    DeadlineExceeded,
    DeviceLost,
    EmptyAudio,
    InferenceFailed,
    InvalidRequest,
    ModelUnavailable,
    NotReady,
    OutOfMemory,
    Overloaded,
    StorageFull,
    TruncatedAudio,
    UnsupportedAudio,
    UploadStalled,
    UploadTooLarge,
)
from service.options import MAX_HOT_WORD_CHARACTERS, MAX_HOT_WORDS, Decoding
from service.passes import Progress
from service.uploads import CONTENT_TYPE

T = TypeVar("T")

TRANSCRIPTION_ERRORS = (
    InvalidRequest,
    EmptyAudio,
    AudioTooShort,
    UnsupportedAudio,
    TruncatedAudio,
    UploadStalled,
    UploadTooLarge,
    AudioTooLong,
    Overloaded,
    InferenceFailed,
    OutOfMemory,
    DeviceLost,
    NotReady,
    ModelUnavailable,
    DeadlineExceeded,
    StorageFull,
)

# The routes parse bodies themselves, as they arrive, so the documentation must be told what is in
# them.
AUDIO_FORM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            CONTENT_TYPE: {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": {
                            "type": "string",
                            "format": "binary",
                            "description": "Audio: WAV, FLAC, MP3, Ogg, WebM, MP4 and others, of "
                            "any usual rate and channel count.",
                        },
                        "language": {
                            "type": "string",
                            "description": "Code of the spoken language, one of the model's; where "
                            "several models are served, it finds the one that knows it.",
                            "example": "en",
                        },
                        "model": {
                            "type": "string",
                            "description": "Name of a model, from `GET /version`.",
                            "example": "english",
                        },
                        "decoding": {
                            "type": "string",
                            "enum": list(get_args(Decoding)),
                            "description": "How words are found; beam needs a language model, "
                            "attention an attention decoder.",
                        },
                        "hot_words": {
                            "type": "string",
                            "description": "Names and terms to expect, with commas between them: "
                            f"at most {MAX_HOT_WORDS}, of {MAX_HOT_WORD_CHARACTERS} characters. "
                            "They need a language model.",
                        },
                    },
                }
            }
        },
    }
}


@asynccontextmanager
async def time_limit(limit_s: float) -> AsyncIterator[None]:
    """Give what is inside so many seconds.

    Raises:
        DeadlineExceeded: they were not enough.
    """
    try:
        async with asyncio.timeout(limit_s):
            yield
    except TimeoutError as error:
        raise DeadlineExceeded(f"not done within {limit_s:g} s", limit=limit_s) from error


async def unless(ends: Sequence[Coroutine[Any, Any, NoReturn]], work: Coroutine[Any, Any, T]) -> T:
    """Do the work, but cancel it when one of the ends comes.

    Raises:
        Exception: what that end raises.
    """
    working = asyncio.create_task(work)
    waiting: set[asyncio.Task[Any]] = {working, *map(asyncio.create_task, ends)}
    try:
        done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        first = working if working in done else done.pop()
        return cast(T, first.result())
    finally:
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting)


def charged(request: Request) -> Progress:
    """What spends a file's audio, from the budget of whoever asks, once it is decoded."""
    is_known = False

    def spend(_: float, duration_s: float) -> None:
        nonlocal is_known
        if not is_known:
            request.state.budget.hear(duration_s)
        is_known = True

    return spend


async def disconnect(request: Request) -> NoReturn:
    """Wait until the client goes away.

    Raises:
        ClientDisconnect: it did.
    """
    while (await request.receive())["type"] != "http.disconnect":
        pass
    raise ClientDisconnect
