"""A job as JSON."""

from datetime import UTC, datetime
from typing import Self

from service.jobs.job import Job, JobStatus
from service.schemas import ErrorDetail, Seconds, TranscriptionBody, Wire


class ProgressBody(Wire):
    """How far the audio is through the model."""

    done_s: Seconds
    duration_s: Seconds


class JobBody(Wire):
    """Answer of `POST /jobs` and `GET /jobs/{id}`; times are UTC."""

    id: str
    """Whoever knows it may read and delete the job."""
    status: JobStatus
    created_at: datetime
    started_at: datetime | None
    """Of the current attempt."""
    finished_at: datetime | None
    progress: ProgressBody | None
    """None until the audio is decoded."""
    result: TranscriptionBody | None
    """If done; `request_id` is that of the request that posted the job."""
    error: ErrorDetail | None
    """If failed."""

    @classmethod
    def of(cls, job: Job, progress: ProgressBody | None = None) -> Self:
        """The body for a job, and how far it is if it runs."""
        result = error = None
        if job.result is not None:
            result = TranscriptionBody.model_validate_json(job.result)
            progress = ProgressBody(done_s=result.duration_s, duration_s=result.duration_s)
        if job.error is not None:
            error = ErrorDetail.model_validate_json(job.error)
        return cls(
            id=job.id,
            status=job.status,
            created_at=_utc(job.created_s),
            started_at=None if job.started_s is None else _utc(job.started_s),
            finished_at=None if job.finished_s is None else _utc(job.finished_s),
            progress=progress,
            result=result,
            error=error,
        )


def _utc(epoch_s: float) -> datetime:
    return datetime.fromtimestamp(epoch_s, UTC)
