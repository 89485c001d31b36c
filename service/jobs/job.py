"""What is known of a job."""

from dataclasses import dataclass
from enum import StrEnum

from service.options import Options


class JobStatus(StrEnum):
    """Where in its life a job is."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_active(self) -> bool:
        """Whether it has yet to end."""
        return self in ACTIVE


ACTIVE = (JobStatus.QUEUED, JobStatus.RUNNING)


@dataclass(frozen=True)
class Job:
    """A row; its fields are the columns.

    Attributes:
        id: known only to who posted it.
        request_id: of the request that posted it.
        language: as asked for.
        model: as asked for.
        decoding: as asked for.
        hot_words: as asked for.
        size_bytes: what it takes on disk: its file, and after its end its result.
        created_s: when it was accepted, in seconds of the epoch; so are the other times.
        status: where in its life it is.
        attempts: how often it was begun, without those that an orderly stop put off.
        started_s: when it was last begun.
        finished_s: when it ended.
        result: JSON, if done.
        error: JSON, if failed.
    """

    id: str
    request_id: str
    language: str | None
    model: str | None
    size_bytes: int
    created_s: float
    status: JobStatus = JobStatus.QUEUED
    attempts: int = 0
    started_s: float | None = None
    finished_s: float | None = None
    result: str | None = None
    error: str | None = None
    decoding: str | None = None
    hot_words: str | None = None

    def options(self) -> Options:
        """What was asked for."""
        return Options.of(
            {
                "language": self.language,
                "model": self.model,
                "decoding": self.decoding,
                "hot_words": self.hot_words,
            }
        )
