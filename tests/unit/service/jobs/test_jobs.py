import pytest
from prometheus_client import CollectorRegistry

from service.config import Settings
from service.errors import JobsUnavailable
from service.jobs import Jobs
from service.metrics import Metrics


@pytest.fixture
def jobs(tmp_path):
    return Jobs(Settings(jobs_dir=tmp_path / "jobs"), Metrics(CollectorRegistry()))


async def nothing():
    raise AssertionError("the body is not read")
    yield b""


async def test_what_was_never_started_takes_nothing_and_ends_quietly(jobs, tmp_path):
    with pytest.raises(JobsUnavailable):
        await jobs.accept({}, nothing(), request_id="r", spend=lambda _: None)
    with pytest.raises(JobsUnavailable):
        await jobs.get("a")
    with pytest.raises(JobsUnavailable):
        await jobs.delete("a")
    await jobs.pause()
    await jobs.close()
    assert list(tmp_path.iterdir()) == []
