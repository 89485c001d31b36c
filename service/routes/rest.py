"""`POST /transcribe`."""

import asyncio
from collections.abc import Coroutine, Sequence
from time import monotonic
from typing import Any, NoReturn, TypeVar, cast

from fastapi import APIRouter, Request, Response
from starlette.requests import ClientDisconnect

from service.errors import (
    AudioTooLong,
    AudioTooShort,
    DeadlineExceeded,
    DeviceLost,
    EmptyAudio,
    InferenceFailed,
    InvalidRequest,
    NotReady,
    OutOfMemory,
    Overloaded,
    TruncatedAudio,
    UnsupportedAudio,
    UploadTooLarge,
)
from service.lifecycle import Service
from service.options import Options
from service.routes.errors import error_responses
from service.routes.forms import AUDIO_FORM, time_limit
from service.schemas import TranscriptionBody
from service.uploads import receive_upload

T = TypeVar("T")

router = APIRouter(tags=["transcription"])


@router.post(
    "/transcribe",
    response_model=TranscriptionBody,
    openapi_extra=AUDIO_FORM,
    responses=error_responses(
        InvalidRequest,
        EmptyAudio,
        AudioTooShort,
        UnsupportedAudio,
        TruncatedAudio,
        UploadTooLarge,
        AudioTooLong,
        Overloaded,
        InferenceFailed,
        OutOfMemory,
        DeviceLost,
        NotReady,
        DeadlineExceeded,
    ),
)
async def transcribe(request: Request) -> Response:
    """Transcribe one file: its text, and its words with times and confidences."""
    service: Service = request.app.state.service
    settings = service.settings
    deadline_s = monotonic() + settings.request_timeout_s
    with service.admit() as transcriber:
        async with (
            time_limit(settings.request_timeout_s),
            receive_upload(
                request.headers, request.stream(), max_bytes=settings.max_upload_bytes
            ) as upload,
        ):
            result = await _unless(
                (_disconnect(request), service.out_of_time()),
                transcriber.transcribe(
                    upload.file,
                    Options.of(upload.fields),
                    deadline_s=deadline_s,
                ),
            )
    body = TranscriptionBody.of(result, request.state.request_id)
    return Response(body.model_dump_json(), media_type="application/json")


async def _unless(ends: Sequence[Coroutine[Any, Any, NoReturn]], work: Coroutine[Any, Any, T]) -> T:
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


async def _disconnect(request: Request) -> NoReturn:
    """Wait until the client goes away.

    Raises:
        ClientDisconnect: it did.
    """
    while (await request.receive())["type"] != "http.disconnect":
        pass
    raise ClientDisconnect
