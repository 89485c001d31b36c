"""A file system that is really full, under uploads and jobs: what is told, and what is kept."""

import errno
import os
import subprocess
from contextlib import contextmanager

import pytest
from audio_files import wav
from tiny_bundle import make_bundle, speak
from watched_server import watched

SIZE_BYTES = 16 * 1024**2
ROOM_BYTES = 512 * 1024  # less than what lies in memory before it goes to the disk
TEXT = "good morning"
GOOD = wav(speak(TEXT))
LONG_TEXT = " ".join([TEXT] * 40)
LARGE = wav(speak(f"{LONG_TEXT} "))
JOBS = 3
WAITS = "cannot end: there is no room left"  # in the log, of a job


@pytest.fixture(scope="module")
def disk(tmp_path_factory):
    """A file system of its own, in memory, with the folders of servers."""
    folder = tmp_path_factory.mktemp("disk")
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE_BYTES}", "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    (folder / "spool").mkdir()
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return make_bundle(tmp_path_factory.mktemp("bundles") / "tiny")


@pytest.fixture(scope="module")
def server(disk, bundle):
    settings = {"TMPDIR": str(disk / "spool"), "STT_JOBS_DIR": str(disk / "jobs")}
    with watched(bundle, **settings) as started:
        assert text_of(post(started, "/transcribe", LARGE)) == LONG_TEXT
        yield started


def free_bytes(disk):
    found = os.statvfs(disk)
    return found.f_bavail * found.f_frsize


@contextmanager
def full(disk, room_bytes=0):
    """Let the disk have no more room than this."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        # Again, as the server may just have freed something, or written.
        while (left_bytes := free_bytes(disk) - room_bytes) > 0:
            try:
                os.posix_fallocate(file.fileno(), ballast.stat().st_size, left_bytes)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
    yield
    ballast.unlink(missing_ok=True)


def post(server, path, content):
    return server.client.post(path, files={"file": content})


def text_of(answer):
    assert answer.status_code == 200, answer.text
    return answer.json()["text"]


def assert_refused(server, path, content):
    name = f'stt_requests_total{{endpoint="{path}",status="507"}}'
    before = server.value(name)
    answer = post(server, path, content)
    assert answer.status_code == 507, answer.text
    assert answer.json()["error"]["code"] == "storage_full"
    assert server.value(name) == before + 1


def accepted(server, content):
    """Where the job will be told about."""
    answer = post(server, "/jobs", content)
    assert answer.status_code == 202, answer.text
    return answer.headers["Location"]


def is_done(server, job, text):
    body = server.client.get(job).json()
    assert body["status"] in {"queued", "running", "done"}, body
    return body["status"] == "done" and body["result"]["text"] == text


@pytest.mark.parametrize("path", ["/transcribe", "/v1/audio/transcriptions"])
def test_an_upload_for_which_there_is_no_room_is_told_so(disk, server, path):
    with full(disk):
        assert_refused(server, path, LARGE)
        assert text_of(post(server, path, GOOD)) == TEXT  # it lies in memory
        assert server.client.get("/health/ready").status_code == 200
    assert text_of(post(server, path, LARGE)) == LONG_TEXT
    assert not server.faults()


@pytest.mark.parametrize("path", ["/transcribe", "/jobs"])
def test_an_upload_that_fills_the_disk_leaves_nothing_there(disk, server, path):
    with full(disk, ROOM_BYTES):
        before_bytes = free_bytes(disk)
        assert_refused(server, path, LARGE)
        assert server.comes_true(lambda: free_bytes(disk) == before_bytes)
    assert text_of(post(server, "/transcribe", LARGE)) == LONG_TEXT
    assert not server.faults()


def test_jobs_are_taken_again_once_there_is_room(disk, server):
    with full(disk):
        assert_refused(server, "/jobs", GOOD)
        assert list((disk / "jobs" / "uploads").iterdir()) == []
    job = accepted(server, GOOD)
    assert server.comes_true(lambda: is_done(server, job, TEXT))
    assert not server.faults()


def test_jobs_that_were_accepted_wait_for_room(disk, server):
    """What comes of them cannot be written down; they are neither lost nor failed."""
    jobs = [accepted(server, LARGE) for _ in range(JOBS)]
    with full(disk):
        assert server.comes_true(lambda: any(WAITS in line for line in server.log))
        assert not is_done(server, jobs[-1], LONG_TEXT)
    for job in jobs:
        assert server.comes_true(lambda job=job: is_done(server, job, LONG_TEXT))
    assert server.value('stt_jobs_finished_total{outcome="failed"}') == 0
    assert not server.faults()


def test_a_server_that_starts_on_a_full_disk_takes_jobs_once_there_is_room(disk, bundle):
    with full(disk), watched(bundle, STT_JOBS_DIR=str(disk / "others")) as server:
        assert text_of(post(server, "/transcribe", GOOD)) == TEXT
        answer = post(server, "/jobs", GOOD)
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "jobs_unavailable")
        (disk / "ballast").unlink()
        assert server.comes_true(lambda: post(server, "/jobs", GOOD).status_code == 202)
