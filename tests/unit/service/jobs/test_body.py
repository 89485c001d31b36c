import json

from service.errors import UnsupportedAudio
from service.jobs.body import JobBody, ProgressBody
from service.jobs.job import Job, JobStatus
from service.schemas import ErrorBody


def job(**changes):
    return Job(**{"id": "a", "request_id": "r", "language": None, "model": None} | changes)


def test_times_are_utc_and_what_is_not_there_is_null():
    body = JobBody.of(job(size_bytes=1, created_s=1_000_000_000.5))
    assert json.loads(body.model_dump_json()) == {
        "id": "a",
        "status": "queued",
        "created_at": "2001-09-09T01:46:40.500000Z",
        "started_at": None,
        "finished_at": None,
        "progress": None,
        "result": None,
        "error": None,
    }


def test_a_failed_job_tells_the_error_of_a_request():
    error = ErrorBody.of(UnsupportedAudio("no audio", found="x")).error
    body = JobBody.of(
        job(
            size_bytes=1,
            created_s=1.0,
            finished_s=2.0,
            status=JobStatus.FAILED,
            error=error.model_dump_json(),
        ),
        ProgressBody(done_s=0.0, duration_s=1.0),
    )
    assert body.error == error
    assert body.result is None
