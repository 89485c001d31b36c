"""The store behind the one thread that may touch it; disks never block the event loop."""

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from service.errors import JobsUnavailable, StorageFull
from service.jobs.store import UPLOADS, JobStore
from service.metrics import Metrics
from service.uploads import full_disk_told

P = ParamSpec("P")
T = TypeVar("T")

logger = logging.getLogger(__name__)


class StoreThread:
    """Calls the store's methods one after the other, and tells how many jobs there are.

    Args:
        folder: of the store.
        ttl_s: of the store.
        metrics: its gauge of jobs is fed here.
    """

    def __init__(self, folder: Path, ttl_s: float, metrics: Metrics) -> None:
        self._folder = folder
        self._ttl_s = ttl_s
        self._metrics = metrics
        self._thread = ThreadPoolExecutor(1, "stt-jobs")
        self._store: JobStore | None = None

    @property
    def is_open(self) -> bool:
        """Whether there is a store to call."""
        return self._store is not None

    def upload(self, job_id: str) -> Path:
        """Where the file of an accepted job lies."""
        return self._folder / UPLOADS / job_id

    async def open(self) -> None:
        """Take over the folder.

        Raises:
            JobsUnavailable: it cannot be used, or another process has it.
        """
        await asyncio.get_running_loop().run_in_executor(self._thread, self._open)

    async def call(
        self, method: Callable[Concatenate[JobStore, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Call a method of the store; a cancelled caller leaves it to its end.

        Raises:
            JobsUnavailable: the store is not open, or broken.
            StorageFull: the disk is full.
        """

        def work() -> T:
            if self._store is None:
                raise JobsUnavailable("jobs are not available here; the log says why")
            with _faults_told():
                result = method(self._store, *args, **kwargs)
                self._count(self._store)
                return result

        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def close(self) -> None:
        """Let go of the folder, after what was asked for before."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close)

    def _open(self) -> None:
        try:
            self._store = JobStore(self._folder, ttl_s=self._ttl_s)
        except (OSError, sqlite3.Error) as error:
            is_taken = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY
            why = "another process has it" if is_taken else error
            raise JobsUnavailable(f"{self._folder} cannot be used: {why}") from error
        self._count(self._store)

    def _close(self) -> None:
        if self._store is not None:
            self._store.close()
            self._store = None

    def _count(self, store: JobStore) -> None:
        for status, count in store.counts().items():
            self._metrics.jobs.labels(status).set(count)


@contextmanager
def _faults_told() -> Iterator[None]:
    try:
        with full_disk_told():
            yield
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
            raise StorageFull("there is no room left to store jobs") from error
        logger.exception("the database of the jobs failed")
        raise JobsUnavailable("jobs are not available now; the log says why") from error
    except OSError as error:
        logger.exception("the folder of the jobs failed")
        raise JobsUnavailable("jobs are not available now; the log says why") from error
