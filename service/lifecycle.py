"""From start to exit: loading what is served, letting requests in, draining.

loading -> ready -> draining        (or loading -> failed)
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from enum import Enum
from typing import NoReturn

from prometheus_client import CollectorRegistry

from service.admission import Rejection
from service.batcher import Lane
from service.config import Settings
from service.errors import InvalidBundle, NotReady, Overloaded
from service.jobs import Jobs
from service.metrics import Metrics
from service.options import Options
from service.serving.models import Models
from service.serving.renewal import Renewal
from service.streaming.engine import Engine
from service.streaming.streams import Streams
from service.tracing import open_tracer

LAST_ANSWERS_S = 1.0  # for telling those who did not come to their turn


class State(Enum):
    """Where in its life the service is; the value says why it takes no requests."""

    LOADING = "the bundle is being loaded"
    READY = ""
    DRAINING = "the service is finishing its last requests before it exits"
    FAILED = "the bundle could not be loaded"


class Service:
    """What lives as long as the process.

    Attributes:
        settings: how it runs.
        metrics: its own registry and everything in it.
        tracer: of requests and their stages.
        state: where in its life it is.
        models: what is served, once ready.
        renewal: takes bundles that come or change.
        jobs: work in the background.
        streams: text while people speak.

    Args:
        settings: how it runs.
        with_jobs: whether it takes over the folder of the jobs; a command does not.
    """

    def __init__(self, settings: Settings, *, with_jobs: bool = False) -> None:
        self.settings = settings
        self.metrics = Metrics(CollectorRegistry())
        self.tracer = open_tracer(settings.tracing)
        self.jobs = Jobs(settings, self.metrics)
        self._with_jobs = with_jobs
        self.state = State.LOADING
        self.models = Models(settings, self.metrics, self.tracer)
        self.renewal = Renewal(self.models, settings, self.metrics)
        self.streams = Streams(self._engine, self.models.workforce.make_way, self.metrics, settings)
        self._watching: asyncio.Task[None] | None = None
        self._requests = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._grace_over = asyncio.Event()
        self.metrics.ready.set_function(self._is_ready)

    async def start(self) -> None:
        """Load and test what is served, then take requests, and go on looking for other bundles.

        Raises:
            InvalidBundle: there is nothing to serve.
        """
        try:
            await self.renewal.start()
        except InvalidBundle:
            self.state = State.FAILED
            raise
        if self.state is not State.LOADING:
            await self.models.workforce.drain()
            self.models.close()
            return
        if self._with_jobs:
            await self.jobs.start(self.models)
        poll_s = self.settings.bundles_poll_s
        if self.settings.bundles_dir is not None and poll_s:
            self._watching = asyncio.create_task(self.renewal.watch(poll_s))
        self.state = State.READY

    def ready(self) -> Models:
        """The models.

        Raises:
            NotReady: loading, draining or broken, and says which.
        """
        if self.state is not State.READY:
            raise NotReady(self.state.value)
        self.check_alive()
        return self.models

    def check_alive(self) -> None:
        """Tell whoever watches the process if it must be restarted.

        Raises:
            NotReady: the device or a batcher broke, and says which.
        """
        if (failure := self.models.workforce.failure) is not None:
            raise NotReady(failure)

    @property
    def is_broken(self) -> bool:
        """Whether only a restart of the process helps."""
        return self.models.workforce.failure is not None

    @contextmanager
    def admit(self) -> Iterator[Models]:
        """Let one request in, before its body is read; the drain waits for its end.

        Raises:
            NotReady: see `ready`.
            Overloaded: as many requests are inside as may be.
        """
        models = self._ready_for_work()
        self._requests += 1
        self._idle.clear()
        try:
            yield models
        finally:
            self._requests -= 1
            if not self._requests:
                self._idle.set()

    async def drain(self) -> None:
        """Refuse new requests, and finish accepted ones as far as the grace reaches.

        Those that it does not reach are told to try elsewhere. Jobs are not finished but kept for
        the next process.
        """
        if self.state is not State.FAILED:
            self.state = State.DRAINING
        if self._watching is not None:
            self._watching.cancel()
        await self.jobs.pause()
        try:
            async with asyncio.timeout(self.settings.shutdown_grace_s):
                await self.streams.drain()
                await self._idle.wait()
                await self.models.workforce.drain()
        except TimeoutError:
            self._grace_over.set()
            with suppress(TimeoutError):
                async with asyncio.timeout(LAST_ANSWERS_S):
                    await self._idle.wait()
        await self.jobs.close()
        self.models.close()
        await asyncio.to_thread(self.tracer.close)

    async def out_of_time(self) -> NoReturn:
        """Wait until the grace of a drain is over.

        Raises:
            NotReady: it is; what is still at work will not be finished here.
        """
        await self._grace_over.wait()
        raise NotReady(self.state.value)

    def ready_for_streams(self) -> Streams:
        """Where streams are opened.

        Raises:
            NotReady: see `ready`.
        """
        try:
            self.ready()
        except NotReady:
            self.metrics.rejected.labels(Rejection.NOT_READY).inc()
            raise
        return self.streams

    @asynccontextmanager
    async def _engine(self, options: Options) -> AsyncIterator[Engine]:
        async with self.models.use(options) as model:
            yield model.engine

    def _is_ready(self) -> bool:
        try:
            self.ready()
        except NotReady:
            return False
        return True

    def _ready_for_work(self) -> Models:
        try:
            models = self.ready()
        except NotReady:
            self.metrics.rejected.labels(Rejection.NOT_READY).inc()
            raise
        if self._requests >= (limit := self.settings.max_requests):
            assert models.default is not None, "ready without a model"
            batcher = models.default.batcher
            self.metrics.rejected.labels(Rejection.QUEUE_FULL).inc()
            raise Overloaded(
                f"{self._requests} requests are inside, the limit is {limit}",
                retry_after_s=batcher.retry_after_s(batcher.ahead_s(Lane.INTERACTIVE)),
                found=self._requests,
                limit=limit,
            )
        return models
