"""Jobs outlive the process that took them: real processes, real speech."""

import signal
import time
from contextlib import contextmanager
from threading import Thread

import pytest
from audio_files import wav
from patience import PATIENCE_S
from recordings import joined, recordings
from server_process import LOOK_S, connected, process, wait_for_readiness

from service.config import PACKAGED_BUNDLE

JOBS = 2


@pytest.fixture(scope="module")
def speech():
    """Some of it, longer than one batch."""
    return wav(joined([recording.waveform() for recording in recordings()[:6]]))


@contextmanager
def started(folder):
    with (
        process(PACKAGED_BUNDLE, STT_JOBS_DIR=str(folder)) as running,
        connected(running) as client,
    ):
        log = Thread(target=lambda: list(running.stderr or ()))
        log.start()
        wait_for_readiness(client, 200)
        try:
            yield running, client
        finally:
            running.kill()
            log.join()


def until(client, location, *statuses):
    while (body := client.get(location).json())["status"] not in statuses:
        assert body["status"] in ("queued", "running"), body
        time.sleep(LOOK_S)
    return body


def post(client, content):
    answer = client.post("/jobs", files={"file": content})
    assert answer.status_code == 202
    return answer.headers["location"]


def test_no_accepted_job_is_lost(tmp_path, server, speech):
    expected = server.transcribe(speech)["text"]
    assert expected
    uploads = tmp_path / "jobs" / "uploads"

    with started(tmp_path / "jobs") as (running, client):
        locations = [post(client, speech) for _ in range(JOBS)]
        until(client, locations[0], "running", "done")
        running.kill()
        assert running.wait(PATIENCE_S) == -signal.SIGKILL
    assert list(uploads.iterdir())  # there is work left

    with started(tmp_path / "jobs") as (running, client):
        running.send_signal(signal.SIGTERM)
        assert running.wait(PATIENCE_S) == 0
    assert list(uploads.iterdir())  # it was not waited for

    with started(tmp_path / "jobs") as (_, client):
        texts = [until(client, location, "done")["result"]["text"] for location in locations]
    assert texts == [expected] * JOBS
    assert list(uploads.iterdir()) == []
