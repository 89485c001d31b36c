"""Works off jobs in the background, the oldest first, a few at a time."""

import asyncio
import logging
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus

from service.batcher import Lane
from service.errors import DeviceLost, InferenceFailed, NotReady, Overloaded, ServiceError
from service.jobs.bills import Bills
from service.jobs.body import ProgressBody
from service.jobs.job import Job, JobStatus
from service.jobs.store import JobStore
from service.jobs.store_thread import StoreThread
from service.metrics import Metrics
from service.schemas import ErrorBody, ErrorDetail, TranscriptionBody
from service.serving.models import Models
from service.transcriber import Transcription

MAX_ATTEMPTS = 3  # a job that was there each time the process ended is likely to be why
RETRY_S = 10.0  # longest wait before the store or a full queue is asked again
DURATION_MEMORY = 0.8  # weight of the past in the measured duration of a job

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Outcome:
    """How a job ended: with JSON of one or the other."""

    result: str | None = None
    error: str | None = None


@dataclass
class _Work:
    task: asyncio.Task[None]
    progress: ProgressBody | None = None


class JobRunner:
    """Transcribes what the store holds.

    Attributes:
        typical_s: smoothed duration of a job, in seconds.
        halted: whether the model broke, and jobs wait for another process.

    Args:
        store: open, or opened later.
        models: asked in the bulk lane, without a deadline.
        metrics: ends of jobs are counted here.
        parallel_jobs: how many may be in work at once.
        bills: settled here.
    """

    def __init__(
        self,
        store: StoreThread,
        models: Models,
        metrics: Metrics,
        *,
        parallel_jobs: int,
        bills: Bills,
    ) -> None:
        self._store = store
        self._models = models
        self._metrics = metrics
        self._bills = bills
        self._places = asyncio.Semaphore(parallel_jobs)
        self._works: dict[str, _Work] = {}
        self._changed = asyncio.Event()
        self._dispatcher = asyncio.create_task(self._dispatch())
        self.typical_s = 1.0
        self.halted = False

    def wake(self) -> None:
        """Look for queued jobs now."""
        self._changed.set()

    def progress(self, job_id: str) -> ProgressBody | None:
        """How far a running job is."""
        work = self._works.get(job_id)
        return None if work is None else work.progress

    async def abandon(self, job_id: str) -> None:
        """Stop work on a job whose end is recorded already; its segments leave the queue."""
        if work := self._works.get(job_id):
            await _cancel(work.task)

    async def stop(self) -> None:
        """Stop all work; what was running is left as such in the store."""
        await _cancel(self._dispatcher, *(work.task for work in self._works.values()))

    async def _dispatch(self) -> None:
        while True:
            await self._places.acquire()
            job = await self._next()
            task = asyncio.create_task(self._run(job))
            self._works[job.id] = _Work(task)
            task.add_done_callback(partial(self._left, job.id))

    def _left(self, job_id: str, _: asyncio.Task[None]) -> None:
        del self._works[job_id]
        self._bills.drop(job_id)
        self._places.release()

    async def _next(self) -> Job:
        while True:
            self._changed.clear()
            with suppress(ServiceError):  # of the store, which has told why
                if job := await self._store.call(JobStore.claim):
                    return job
            with suppress(TimeoutError):
                async with asyncio.timeout(RETRY_S):
                    await self._changed.wait()

    async def _run(self, job: Job) -> None:
        started_s = time.monotonic()
        try:
            await self._keep(job, await self._outcome(job))
        except (NotReady, DeviceLost) as error:
            logger.warning("job of request %s waits for a restart: %s", job.request_id, error)
            self.halted = True
            self._dispatcher.cancel()
        duration_s = time.monotonic() - started_s
        self.typical_s += (1 - DURATION_MEMORY) * (duration_s - self.typical_s)

    async def _outcome(self, job: Job) -> _Outcome:
        """Transcribe, whatever comes of it.

        Raises:
            NotReady: the model takes no more; nor will it before a restart.
            DeviceLost: likewise.
        """
        if job.attempts > MAX_ATTEMPTS:
            error = InferenceFailed(f"the service ended {MAX_ATTEMPTS} times during this job")
            return _failed(ErrorBody.of(error).error)
        try:
            result = await self._transcribe(job)
        except (NotReady, DeviceLost):
            raise
        except ServiceError as error:
            return _failed(ErrorBody.of(error).error)
        except Exception:
            logger.exception("job of request %s", job.request_id)
            return _failed(ErrorBody.of_status(HTTPStatus.INTERNAL_SERVER_ERROR).error)
        return await asyncio.to_thread(_done, result, job.request_id)

    async def _transcribe(self, job: Job) -> Transcription:
        def note(done_s: float, duration_s: float) -> None:
            self._works[job.id].progress = ProgressBody(done_s=done_s, duration_s=duration_s)
            self._bills.settle(job.id, duration_s)

        upload = self._store.upload(job.id)
        while True:
            try:
                return await self._models.transcribe(
                    upload, job.options(), lane=Lane.BULK, progress=note
                )
            except Overloaded as error:
                await asyncio.sleep(min(error.retry_after_s, RETRY_S))

    async def _keep(self, job: Job, outcome: _Outcome) -> None:
        """Record the end of a job, as soon as the store can."""
        while True:
            try:
                was_first = await self._store.call(
                    JobStore.finish, job.id, result=outcome.result, error=outcome.error
                )
            except ServiceError as error:
                logger.error("job of request %s cannot end: %s", job.request_id, error)
                await asyncio.sleep(RETRY_S)
            else:
                break
        if was_first:
            status = JobStatus.FAILED if outcome.error else JobStatus.DONE
            self._metrics.jobs_finished.labels(status).inc()
            logger.info("job of request %s %s", job.request_id, status)


def _done(result: Transcription, request_id: str) -> _Outcome:
    return _Outcome(result=TranscriptionBody.of(result, request_id).model_dump_json())


def _failed(error: ErrorDetail) -> _Outcome:
    return _Outcome(error=error.model_dump_json())


async def _cancel(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
