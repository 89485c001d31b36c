import errno
import sqlite3

import pytest
from prometheus_client import CollectorRegistry

from service.errors import JobsUnavailable, StorageFull
from service.jobs.store import JobStore
from service.jobs.store_thread import StoreThread
from service.metrics import Metrics


@pytest.fixture
def metrics():
    return Metrics(CollectorRegistry())


@pytest.fixture
async def store(tmp_path, metrics):
    store = StoreThread(tmp_path / "jobs", 100, metrics)
    yield store
    await store.close()


async def test_only_an_open_store_can_be_called(store):
    assert not store.is_open
    with pytest.raises(JobsUnavailable):
        await store.call(JobStore.claim)
    await store.open()
    assert store.is_open
    assert await store.call(JobStore.claim) is None
    await store.close()
    with pytest.raises(JobsUnavailable):
        await store.call(JobStore.claim)


async def test_a_folder_that_cannot_be_made_is_told(tmp_path, metrics):
    (tmp_path / "file").touch()
    store = StoreThread(tmp_path / "file" / "jobs", 100, metrics)
    with pytest.raises(JobsUnavailable, match="file/jobs"):
        await store.open()
    assert not store.is_open


async def test_a_folder_has_one_owner(tmp_path, metrics, store):
    await store.open()
    other = StoreThread(tmp_path / "jobs", 100, metrics)
    with pytest.raises(JobsUnavailable, match="another process"):
        await other.open()
    await store.close()
    await other.open()
    await other.close()


async def test_every_call_counts_the_jobs(store, metrics):
    def add(store):
        store.files.create_part("a").close()
        store.add("a", "request", {})

    def count(status):
        return metrics.registry.get_sample_value("stt_jobs", {"status": status})

    await store.open()
    await store.call(add)
    assert (count("queued"), count("running")) == (1, 0)
    await store.call(JobStore.claim)
    assert (count("queued"), count("running")) == (0, 1)


def full_database():
    error = sqlite3.OperationalError("database or disk is full")
    error.sqlite_errorcode = sqlite3.SQLITE_FULL
    return error


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (full_database(), StorageFull),
        (OSError(errno.ENOSPC, "full"), StorageFull),
        (sqlite3.OperationalError("disk I/O error"), JobsUnavailable),
        (PermissionError(errno.EACCES, "secret path"), JobsUnavailable),
    ],
)
async def test_faults_of_the_disk_are_told_without_details(store, fault, told, caplog):
    def fail(_):
        raise fault

    await store.open()
    with pytest.raises(told) as caught:
        await store.call(fail)
    assert "secret" not in caught.value.message
    assert ("failed" in caplog.text) == (told is JobsUnavailable)
    await store.call(JobStore.claim)
