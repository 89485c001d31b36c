"""Jobs as the routes see them: post, look, delete; and their part in the service's life."""

import asyncio
import logging
import uuid
from collections.abc import AsyncIterable, AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import IO

from service.admission import Rejection
from service.config import Settings
from service.errors import JobsUnavailable, Overloaded, ServiceError
from service.jobs.bills import Bills, Spend
from service.jobs.body import JobBody
from service.jobs.files import sync
from service.jobs.job import ACTIVE, JobStatus
from service.jobs.runner import JobRunner
from service.jobs.store import JobStore
from service.jobs.store_thread import StoreThread
from service.metrics import Metrics
from service.options import Options
from service.serving.models import Models
from service.uploads import announced_bytes, full_disk_told, receive_form

LOOK_AFTER_S = 5.0  # between two looks for expired jobs, or for a folder that is free at last

logger = logging.getLogger(__name__)


class Jobs:
    """All jobs of this process.

    Args:
        settings: where they are kept, how long and how many.
        metrics: fed with what concerns jobs.
    """

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._settings = settings
        self._metrics = metrics
        self._store = StoreThread(settings.jobs_dir, settings.job_ttl_s, metrics)
        self._models: Models | None = None
        self._runner: JobRunner | None = None
        self._housekeeper: asyncio.Task[None] | None = None
        self._arriving_bytes: list[int] = []
        self._bills = Bills()
        for status in ACTIVE:
            metrics.jobs.labels(status)
        for outcome in (JobStatus.DONE, JobStatus.FAILED, JobStatus.CANCELLED):
            metrics.jobs_finished.labels(outcome)

    async def start(self, models: Models) -> None:
        """Take over the folder, go on with what it holds, and take new jobs.

        A folder that cannot be used now is asked for again later.
        """
        self._models = models
        try:
            await self._store.open()
        except JobsUnavailable as error:
            logger.warning("no jobs for now: %s", error)
        self._runner = JobRunner(
            self._store,
            models,
            self._metrics,
            parallel_jobs=self._settings.parallel_jobs,
            bills=self._bills,
        )
        self._housekeeper = asyncio.create_task(self._look_after())

    async def pause(self) -> None:
        """Stop work and queue it again for the next process; nothing if not started."""
        if self._runner is None or self._housekeeper is None:
            return
        self._housekeeper.cancel()
        await asyncio.wait({self._housekeeper})
        await self._runner.stop()
        with suppress(JobsUnavailable):
            await self._store.call(JobStore.release_running, attempted=self._runner.halted)

    async def close(self) -> None:
        """Let go of the folder."""
        await self._store.close()

    async def accept(
        self,
        headers: Mapping[str, str],
        chunks: AsyncIterable[bytes],
        *,
        request_id: str,
        spend: Spend,
    ) -> JobBody:
        """Receive a form and keep it as a job; once this returns it outlives a crash.

        Args:
            headers: of the request, names in lower case.
            chunks: the body as it arrives.
            request_id: of the request.
            spend: takes its seconds from what its key has left, once they are known.

        Raises:
            JobsUnavailable: jobs cannot be kept.
            Overloaded: there are too many, or they are too large.
            StorageFull: the disk is full.
            InvalidRequest: see `receive_form`; or what is asked for is not served.
            UploadTooLarge: see `receive_form`.
        """
        max_bytes = min(self._settings.max_upload_bytes, self._settings.max_jobs_bytes)
        async with self._room(min(announced_bytes(headers) or max_bytes, max_bytes)):
            job_id = uuid.uuid4().hex
            try:
                file = await self._store.call(lambda store: store.files.create_part(job_id))
                with full_disk_told(), file:
                    fields = await self._receive(file, headers, chunks, max_bytes)
                self._bills.open(job_id, spend)
                job = await self._store.call(JobStore.add, job_id, request_id, fields)
            except BaseException:
                self._bills.drop(job_id)
                raise
            finally:
                await self._store.call(lambda store: store.files.discard_part(job_id))
        self._wake()
        return JobBody.of(job)

    async def get(self, job_id: str) -> JobBody:
        """One job.

        Raises:
            JobNotFound: there is none, or no more.
            JobsUnavailable: jobs cannot be kept.
        """
        job = await self._store.call(JobStore.get, job_id)
        progress = None
        if self._runner is not None and job.status is JobStatus.RUNNING:
            progress = self._runner.progress(job_id)
        return await asyncio.to_thread(JobBody.of, job, progress)

    async def delete(self, job_id: str) -> None:
        """Cancel a job that has not ended; forget one that has.

        Raises:
            JobNotFound: there is none, or no more.
            JobsUnavailable: jobs cannot be kept.
        """
        status = await self._store.call(JobStore.delete, job_id)
        self._bills.drop(job_id)
        if not status.is_active:
            return
        self._metrics.jobs_finished.labels(JobStatus.CANCELLED).inc()
        if self._runner is not None:
            await self._runner.abandon(job_id)
        await self._store.call(lambda store: store.files.remove(job_id))

    async def _receive(
        self,
        file: IO[bytes],
        headers: Mapping[str, str],
        chunks: AsyncIterable[bytes],
        max_bytes: int,
    ) -> dict[str, str]:
        """Fill the file, safely; returns what is asked for, which is served here."""
        if self._models is None:
            raise JobsUnavailable("jobs are not taken here")
        upload = await receive_form(file, headers, chunks, max_bytes=max_bytes)
        self._models.check_served(Options.of(upload.fields))
        await asyncio.to_thread(sync, file)
        return upload.fields

    @asynccontextmanager
    async def _room(self, arriving_bytes: int) -> AsyncIterator[None]:
        """Hold a place for a job whose upload may take so many bytes."""
        active, kept_bytes = await self._store.call(JobStore.load)
        active += len(self._arriving_bytes)
        held_bytes = kept_bytes + sum(self._arriving_bytes) + arriving_bytes
        if active >= (max_jobs := self._settings.max_jobs):
            raise self._full(f"{active} jobs wait or run", active, max_jobs)
        if held_bytes > (max_bytes := self._settings.max_jobs_bytes):
            raise self._full(f"jobs would take {held_bytes} bytes", held_bytes, max_bytes)
        self._arriving_bytes.append(arriving_bytes)
        try:
            yield
        finally:
            self._arriving_bytes.remove(arriving_bytes)

    def _full(self, what: str, found: int, limit: int) -> Overloaded:
        self._metrics.rejected.labels(Rejection.QUEUE_FULL).inc()
        typical_s = self._runner.typical_s if self._runner else 0.0
        return Overloaded(
            f"no more jobs are taken now: {what}, the limit is {limit}",
            retry_after_s=max(1.0, typical_s / self._settings.parallel_jobs),
            found=found,
            limit=limit,
        )

    def _wake(self) -> None:
        if self._runner is not None:
            self._runner.wake()

    async def _look_after(self) -> None:
        while True:
            await asyncio.sleep(LOOK_AFTER_S)
            with suppress(ServiceError):  # told already, by the store or at the start
                if self._store.is_open:
                    await self._store.call(JobStore.sweep)
                else:
                    await self._store.open()
                    logger.info("jobs are taken from now on")
                    self._wake()
