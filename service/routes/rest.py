"""`POST /transcribe`."""

from time import monotonic

from fastapi import APIRouter, Request, Response

from service.lifecycle import Service
from service.options import Options
from service.routes.errors import error_responses
from service.routes.forms import (
    AUDIO_FORM,
    TRANSCRIPTION_ERRORS,
    charged,
    disconnect,
    time_limit,
    unless,
)
from service.schemas import TranscriptionBody
from service.uploads import receive_upload

router = APIRouter(tags=["transcription"])


@router.post(
    "/transcribe",
    response_model=TranscriptionBody,
    openapi_extra=AUDIO_FORM,
    responses=error_responses(*TRANSCRIPTION_ERRORS),
)
async def transcribe(request: Request) -> Response:
    """Transcribe one file: its text, and its words with times and confidences."""
    service: Service = request.app.state.service
    settings = service.settings
    deadline_s = monotonic() + settings.request_timeout_s
    with service.admit() as models:
        async with (
            time_limit(settings.request_timeout_s),
            receive_upload(
                request.headers, request.stream(), max_bytes=settings.max_upload_bytes
            ) as upload,
        ):
            result = await unless(
                (disconnect(request), service.out_of_time()),
                models.transcribe(
                    upload.file,
                    Options.of(upload.fields),
                    deadline_s=deadline_s,
                    progress=charged(request),
                ),
            )
    body = TranscriptionBody.of(result, request.state.request_id)
    return Response(body.model_dump_json(), media_type="application/json")
