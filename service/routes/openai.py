"""`/v1`: for clients of OpenAI's transcription API."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from time import monotonic

from fastapi import APIRouter, Request, Response

from service.ctc import Word
from service.errors import InvalidRequest, ModelNotFound, NotReady
from service.lifecycle import Service
from service.protocols.openai import (
    ModelList,
    ModelObject,
    TextBody,
    VerboseBody,
    answer,
    delta,
    done,
)
from service.protocols.openai_form import FIELDS, Asked, named_model
from service.routes.errors import error_responses
from service.routes.event_stream import EventStream
from service.routes.forms import TRANSCRIPTION_ERRORS, charged, disconnect, time_limit, unless
from service.routes.openai_form import ANSWERS, FORM, MODEL_ID
from service.schemas import Wire
from service.scribe import Heard
from service.serving.models import Entry
from service.transcriber import Transcription
from service.uploads import receive_upload

TRANSCRIPTIONS = "/v1/audio/transcriptions"

router = APIRouter(tags=["OpenAI"])


@router.post(
    TRANSCRIPTIONS,
    response_model=TextBody | VerboseBody,
    openapi_extra=FORM,
    responses=ANSWERS | error_responses(*TRANSCRIPTION_ERRORS, ModelNotFound),
)
async def create_transcription(request: Request) -> Response:
    """Transcribe one file, as OpenAI's API does.

    With `stream=true` text comes as events while later segments are still being recognised. What
    goes wrong after the first event is told by a last one, `{"error": ...}`.
    """
    service: Service = request.app.state.service
    settings = service.settings
    deadline_s = monotonic() + settings.request_timeout_s
    async with AsyncExitStack() as stack:
        models = stack.enter_context(service.admit())
        await stack.enter_async_context(time_limit(settings.request_timeout_s))
        receiving = receive_upload(
            request.headers,
            request.stream(),
            max_bytes=settings.max_upload_bytes,
            fields=FIELDS,
        )
        upload = await stack.enter_async_context(receiving)
        asked = Asked.of(upload.fields, models.offers)
        model = await stack.enter_async_context(models.use(asked.options))
        transcriber = model.transcriber
        options = transcriber.hinted(asked.options, asked.hints)

        async def transcribe(heard: Heard | None = None) -> Transcription:
            return await unless(
                (disconnect(request), service.out_of_time()),
                transcriber.transcribe(
                    upload.file,
                    options,
                    deadline_s=deadline_s,
                    progress=charged(request),
                    heard=heard,
                ),
            )

        if asked.is_stream:
            events = _events(transcribe, asked)
            return EventStream(await anext(events), events, stack.pop_all())
        result = await transcribe()
        content, media_type = await transcriber.in_thread(answer, result, asked)
    return Response(content, media_type=media_type)


@router.post("/v1/audio/translations", responses=error_responses(InvalidRequest))
async def create_translation() -> Response:
    """Always refused: what is said is written in the language that it is said in."""
    raise InvalidRequest(
        f"translation is not served; {TRANSCRIPTIONS} writes what is said in its own language"
    )


@router.get("/v1/models", responses=error_responses(NotReady))
async def list_models(request: Request) -> ModelList:
    """What is served, the default first, which answers to `whisper-1` and OpenAI's other names."""
    service: Service = request.app.state.service
    entries = service.ready().entries.values()
    return ModelList(data=tuple(map(_model, entries)))


@router.get(
    "/v1/models/{id}",
    response_model=ModelObject,
    openapi_extra=MODEL_ID,
    responses=error_responses(ModelNotFound, NotReady),
)
async def retrieve_model(request: Request) -> ModelObject:
    """One model; OpenAI's names find the default."""
    service: Service = request.app.state.service
    models = service.ready()
    name = named_model(request.path_params["id"], models.offers) or models.offers.default.name
    return next(_model(one) for one in models.entries.values() if one.offer.name == name)


def _model(entry: Entry) -> ModelObject:
    return ModelObject(id=entry.offer.name, created=int(entry.written_s))


async def _events(
    transcribe: Callable[[Heard], Awaitable[Transcription]], asked: Asked
) -> AsyncGenerator[Wire, None]:
    """Text as it is heard, then all of it; ends its work when it is closed."""
    heard: asyncio.Queue[Sequence[Word] | None] = asyncio.Queue()
    working = asyncio.ensure_future(transcribe(heard.put_nowait))
    working.add_done_callback(lambda _: heard.put_nowait(None))
    is_first = True
    try:
        while (words := await heard.get()) is not None:
            yield delta(words, asked, is_first=is_first)
            is_first = False
        yield done(await working, asked)
    finally:
        working.cancel()
        await asyncio.wait({working})
