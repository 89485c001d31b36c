"""`/jobs`: long files, transcribed in the background.

There is no list of jobs: whoever knows an id may read and delete that job, so nobody is told the
ids of others.
"""

from typing import Any

from fastapi import APIRouter, Request, Response

from service.errors import (
    DeadlineExceeded,
    InvalidRequest,
    JobNotFound,
    JobsUnavailable,
    NotReady,
    Overloaded,
    StorageFull,
    UploadStalled,
    UploadTooLarge,
)
from service.jobs import JobBody
from service.lifecycle import Service
from service.routes.errors import error_responses
from service.routes.forms import AUDIO_FORM, time_limit

router = APIRouter(prefix="/jobs", tags=["jobs"])

JOB_ID = {
    "parameters": [
        {
            "name": "id",
            "in": "path",
            "required": True,
            "description": "From the answer of `POST /jobs`.",
            "schema": {"type": "string"},
        }
    ]
}
ACCEPTED: dict[int | str, dict[str, Any]] = {
    202: {
        "description": "Safe on disk, and done in its turn",
        "headers": {"Location": {"description": "Where it is", "schema": {"type": "string"}}},
    }
}


@router.post(
    "",
    status_code=202,
    response_model=JobBody,
    openapi_extra=AUDIO_FORM,
    responses=ACCEPTED
    | error_responses(
        InvalidRequest,
        UploadStalled,
        UploadTooLarge,
        Overloaded,
        NotReady,
        JobsUnavailable,
        DeadlineExceeded,
        StorageFull,
    ),
)
async def post_job(request: Request) -> Response:
    """Leave a file to be transcribed, and learn where its transcript will be.

    The answer comes once the file is safe on disk; what is wrong with its audio is told by the job.
    """
    service: Service = request.app.state.service
    settings = service.settings
    with service.admit():
        async with time_limit(settings.request_timeout_s):
            job = await service.jobs.accept(
                request.headers,
                request.stream(),
                request_id=request.state.request_id,
                spend=request.state.budget.hear,
            )
    return _answer(job, 202, Location=request.app.url_path_for("get_job", id=job.id))


@router.get(
    "/{id}",
    response_model=JobBody,
    openapi_extra=JOB_ID,
    responses=error_responses(JobNotFound, JobsUnavailable),
)
async def get_job(request: Request) -> Response:
    """How far a job is, and what came of it."""
    service: Service = request.app.state.service
    return _answer(await service.jobs.get(request.path_params["id"]))


@router.delete(
    "/{id}",
    status_code=204,
    openapi_extra=JOB_ID,
    responses=error_responses(JobNotFound, JobsUnavailable),
)
async def delete_job(request: Request) -> Response:
    """Cancel a job that has not ended, or forget one that has; its file is gone either way.

    A cancelled job can still be read, like any that ended. Deleting again forgets it, and once more
    is answered 404.
    """
    service: Service = request.app.state.service
    await service.jobs.delete(request.path_params["id"])
    return Response(status_code=204)


def _answer(job: JobBody, status: int = 200, **headers: str) -> Response:
    return Response(job.model_dump_json(), status, headers, media_type="application/json")
