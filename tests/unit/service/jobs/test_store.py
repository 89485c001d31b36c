import sqlite3
import stat
import time

import pytest

from service.errors import JobNotFound
from service.jobs.job import JobStatus
from service.jobs.store import DATABASE, ROW_BYTES, UPLOADS, JobStore
from service.options import Options

TTL_S = 100.0


class Clock:
    def __init__(self):
        self.now_s = 1_000_000.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def reopened(tmp_path, clock):
    """Opens the folder anew; what had it before is let go."""
    stores = []

    def open_again():
        if stores:
            stores[-1].close()
        stores.append(JobStore(tmp_path / "jobs", ttl_s=TTL_S, clock=clock))
        return stores[-1]

    yield open_again
    stores[-1].close()


@pytest.fixture
def store(reopened):
    return reopened()


def add(store, job_id, content=b"audio"):
    with store.files.create_part(job_id) as file:
        file.write(content)
    return store.add(job_id, f"request-{job_id}", {"language": "en"})


def test_a_job_is_what_was_asked_for(store, clock):
    job = add(store, "a", b"12345")
    assert store.get("a") == job
    assert (job.id, job.request_id, job.language, job.model) == ("a", "request-a", "en", None)
    assert (job.status, job.attempts, job.size_bytes) == (JobStatus.QUEUED, 0, 5)
    assert (job.created_s, job.started_s, job.finished_s) == (clock.now_s, None, None)
    assert store.files.path("a").read_bytes() == b"12345"


def test_a_clock_that_is_set_lets_nothing_expire(tmp_path, monkeypatch):
    store = JobStore(tmp_path / "jobs", ttl_s=TTL_S)
    add(store, "a")
    store.finish("a", error="{}")
    now_s = time.time()
    monkeypatch.setattr(time, "time", lambda: now_s + 10 * TTL_S)
    assert store.get("a") is not None
    store.close()


def test_jobs_are_begun_in_the_order_they_came(store, clock):
    for job_id in "cab":
        add(store, job_id)
    clock.now_s += 1
    job = store.claim()
    assert (job.id, job.status, job.attempts) == ("c", JobStatus.RUNNING, 1)
    assert job.started_s == clock.now_s
    assert [store.claim().id, store.claim().id, store.claim()] == ["a", "b", None]


def test_done_keeps_the_result_and_deletes_the_file(store, clock):
    add(store, "a")
    store.claim()
    clock.now_s += 3
    assert store.finish("a", result='"text"')
    job = store.get("a")
    assert (job.status, job.result, job.error) == (JobStatus.DONE, '"text"', None)
    assert job.finished_s == clock.now_s
    assert not store.files.path("a").exists()


def test_failed_keeps_the_error(store):
    add(store, "a")
    store.claim()
    assert store.finish("a", error="{}")
    assert (store.get("a").status, store.get("a").error) == (JobStatus.FAILED, "{}")


def test_the_first_end_counts(store):
    add(store, "a")
    store.claim()
    assert store.delete("a") is JobStatus.RUNNING
    assert not store.finish("a", result='"late"')
    assert (store.get("a").status, store.get("a").result) == (JobStatus.CANCELLED, None)


def test_deleting_cancels_first_and_forgets_then(store):
    add(store, "a")
    assert store.delete("a") is JobStatus.QUEUED
    assert store.claim() is None
    assert store.delete("a") is JobStatus.CANCELLED
    with pytest.raises(JobNotFound):
        store.delete("a")


def test_ended_jobs_are_forgotten_after_their_time(store, clock):
    for job_id in "abc":
        add(store, job_id)
    store.claim()
    store.finish("a", result="1")
    clock.now_s += 1
    store.claim()
    store.finish("b", result="2")
    clock.now_s += TTL_S - 1
    with pytest.raises(JobNotFound):
        store.get("a")
    assert store.get("b").result == "2"
    assert store.sweep() == 1
    clock.now_s += TTL_S
    assert store.sweep() == 1
    assert store.get("c").status is JobStatus.QUEUED  # however long it waits


def test_a_new_owner_goes_on_with_everything(store, reopened):
    for job_id in "abcd":
        add(store, job_id, job_id.encode())
    store.claim()
    store.finish("a", result="1")
    assert store.claim().id == "b"
    store = reopened()
    assert store.get("a").result == "1"
    assert store.get("b").started_s is None
    begun = [store.claim() for _ in range(3)]
    assert [(job.id, job.attempts) for job in begun] == [("b", 2), ("c", 1), ("d", 1)]
    assert [store.files.path(job.id).read_bytes() for job in begun] == [b"b", b"c", b"d"]


def test_an_orderly_stop_is_no_attempt(store):
    add(store, "a")
    store.claim()
    store.release_running(attempted=False)
    assert (store.get("a").status, store.claim().attempts) == (JobStatus.QUEUED, 1)


def test_what_a_crash_left_is_removed(tmp_path, store, reopened):
    add(store, "a")
    add(store, "b")
    store.claim()
    store._end("a", JobStatus.DONE)  # and the process ends before the file is deleted
    store.files.create_part("half").close()
    store.files.create_part("unrecorded").close()
    store.files.keep("unrecorded")
    reopened()
    assert [path.name for path in (tmp_path / "jobs" / UPLOADS).iterdir()] == ["b"]


def test_a_job_that_cannot_be_recorded_leaves_no_file(tmp_path, store):
    add(store, "a")
    store._write("DELETE FROM jobs WHERE id = :id", {"id": "a"})
    store._connection.execute("PRAGMA query_only = ON")
    with pytest.raises(sqlite3.OperationalError):
        add(store, "b")
    assert "b" not in [path.name for path in (tmp_path / "jobs" / UPLOADS).iterdir()]


def test_one_owner_at_a_time(tmp_path, store):
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        JobStore(tmp_path / "jobs", ttl_s=TTL_S)
    store.close()
    JobStore(tmp_path / "jobs", ttl_s=TTL_S).close()


def test_the_load_is_files_of_active_jobs_and_results_of_ended_ones(store):
    assert store.load() == (0, 0)
    add(store, "a", bytes(10_000))
    add(store, "b", bytes(20_000))
    add(store, "c", bytes(30_000))
    assert store.load() == (3, 60_000)
    store.claim()
    store.claim()
    assert store.counts() == {JobStatus.QUEUED: 1, JobStatus.RUNNING: 2}
    store.finish("a", result="x" * 5_000)
    store.finish("b", error="{}")
    assert store.load() == (1, 30_000 + 5_000 + ROW_BYTES)


def test_nobody_else_may_read(tmp_path, store):
    add(store, "a")
    for path in (tmp_path / "jobs").rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0


def test_another_release_s_database_is_left_alone(tmp_path, store):
    store.close()
    with sqlite3.connect(tmp_path / "jobs" / DATABASE) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(sqlite3.DatabaseError, match="schema 99"):
        JobStore(tmp_path / "jobs", ttl_s=TTL_S)


def test_a_damaged_database_is_told(tmp_path, store):
    store.close()
    (tmp_path / "jobs" / DATABASE).write_bytes(b"not a database" * 1000)
    with pytest.raises(sqlite3.DatabaseError, match="not a database"):
        JobStore(tmp_path / "jobs", ttl_s=TTL_S)


def test_what_was_asked_for_outlives_a_restart(reopened):
    asked = {"language": "en", "model": "tiny", "decoding": "beam", "hot_words": "Ann, New York"}
    store = reopened()
    with store.files.create_part("a"):
        pass
    store.add("a", "request", asked)
    job = reopened().claim()
    assert job.options() == Options("en", "tiny", "beam", ("Ann", "New York"))


def test_a_database_of_the_first_schema_is_taken_over(reopened, tmp_path):
    add(reopened(), "a")
    reopened().close()
    with sqlite3.connect(tmp_path / "jobs" / DATABASE) as connection:
        connection.executescript(
            "ALTER TABLE jobs DROP COLUMN decoding; ALTER TABLE jobs DROP COLUMN hot_words;"
            "PRAGMA user_version = 1"
        )
    connection.close()
    assert reopened().get("a").options() == Options(language="en")
    assert add(reopened(), "b").decoding is None
