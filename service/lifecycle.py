"""From start to exit: loading the bundle, letting requests in, draining.

loading -> ready -> draining        (or loading -> failed)
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import Enum
from typing import NoReturn

from prometheus_client import CollectorRegistry

from service import gpu_memory
from service.admission import Rejection
from service.audio import SAMPLE_RATE_HZ
from service.backends import LoadedModel
from service.batcher import Batcher, BatchLimits, Lane
from service.bundle import Bundle
from service.config import Settings, visible_gpu
from service.errors import InvalidBundle, NotReady, Overloaded
from service.jobs import Jobs
from service.loading import Parts, load_parts
from service.metrics import Metrics
from service.reading import Reader
from service.streaming.chunk_loop import ChunkLoop
from service.streaming.streams import Engine, Streams
from service.tracing import open_tracer
from service.transcriber import Transcriber

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
        bundle: what is served, once ready.
        loaded: the model that runs, once ready.
        reader: what makes words of its logits, once ready.
        jobs: work in the background.
        streams: text while people speak, once ready.

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
        self.bundle: Bundle | None = None
        self.loaded: LoadedModel | None = None
        self.reader: Reader | None = None
        self.streams: Streams | None = None
        self._batcher: Batcher | None = None
        self._transcriber: Transcriber | None = None
        self._requests = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._grace_over = asyncio.Event()
        self.metrics.ready.set_function(self._is_ready)

    async def start(self) -> None:
        """Load and test the bundle in a thread, then take requests.

        Raises:
            InvalidBundle: there is nothing to serve.
        """
        try:
            parts = await asyncio.to_thread(load_parts, self.settings)
        except InvalidBundle:
            self.state = State.FAILED
            raise
        if self.state is State.LOADING:
            await self.serve(parts)

    async def serve(self, parts: Parts) -> None:
        """Take requests for a model that is loaded."""
        bundle, loaded, reader = parts.bundle, parts.loaded, parts.reader
        self.bundle, self.loaded, self.reader = bundle, loaded, reader
        self._describe(bundle, loaded)
        limits = _batch_limits(self.settings, loaded)
        self._batcher = Batcher(loaded.model, limits, self.metrics)
        self._transcriber = Transcriber(
            bundle.manifest, self._batcher, reader, self.metrics, self.settings, self.tracer
        )
        self.streams = self._open_streams(parts)
        await self._batcher.start()
        if self._with_jobs:
            await self.jobs.start(self._transcriber)
        self.state = State.READY

    def ready(self) -> Transcriber:
        """The transcriber.

        Raises:
            NotReady: loading, draining or broken, and says which.
        """
        if self.state is not State.READY or self._batcher is None or self._transcriber is None:
            raise NotReady(self.state.value)
        self.check_alive()
        return self._transcriber

    def check_alive(self) -> None:
        """Tell whoever watches the process if it must be restarted.

        Raises:
            NotReady: the device or the batcher broke, and says which.
        """
        if self._batcher is not None and self._batcher.failure is not None:
            raise NotReady(self._batcher.failure)

    @contextmanager
    def admit(self) -> Iterator[Transcriber]:
        """Let one request in, before its body is read; the drain waits for its end.

        Raises:
            NotReady: see `ready`.
            Overloaded: as many requests are inside as may be.
        """
        transcriber = self._ready_for_work()
        self._requests += 1
        self._idle.clear()
        try:
            yield transcriber
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
        await self.jobs.pause()
        try:
            async with asyncio.timeout(self.settings.shutdown_grace_s):
                if self.streams is not None:
                    await self.streams.drain()
                await self._idle.wait()
                if self._batcher is not None:
                    await self._batcher.drain()
        except TimeoutError:
            self._grace_over.set()
            with suppress(TimeoutError):
                async with asyncio.timeout(LAST_ANSWERS_S):
                    await self._idle.wait()
        await self.jobs.close()
        if self._transcriber is not None:
            self._transcriber.close()
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
        assert self.streams is not None, "ready without streams"
        return self.streams

    def _open_streams(self, parts: Parts) -> Streams:
        assert self._batcher is not None, "streams come behind the batcher"
        assert self._transcriber is not None, "streams come behind the transcriber"
        chunks = None
        if parts.streaming is not None:
            chunks = ChunkLoop(parts.streaming, self.settings.max_batch_size, self.metrics)
        manifest = parts.bundle.manifest
        engine = Engine(manifest, self._batcher, self._transcriber, parts.reader, chunks)
        return Streams(engine, self.metrics, self.settings)

    def _is_ready(self) -> bool:
        try:
            self.ready()
        except NotReady:
            return False
        return True

    def _ready_for_work(self) -> Transcriber:
        try:
            transcriber = self.ready()
        except NotReady:
            self.metrics.rejected.labels(Rejection.NOT_READY).inc()
            raise
        if self._requests >= (limit := self.settings.max_requests):
            assert self._batcher is not None, "ready without a batcher"
            self.metrics.rejected.labels(Rejection.QUEUE_FULL).inc()
            raise Overloaded(
                f"{self._requests} requests are inside, the limit is {limit}",
                retry_after_s=self._batcher.retry_after_s(self._batcher.ahead_s(Lane.INTERACTIVE)),
                found=self._requests,
                limit=limit,
            )
        return transcriber

    def _describe(self, bundle: Bundle, loaded: LoadedModel) -> None:
        name, variant = bundle.manifest.name, loaded.variant
        if loaded.device == "cuda":
            gpu_memory.watch(self.metrics.registry, visible_gpu())
        self.metrics.sessions.set(loaded.sessions)
        self.metrics.model_memory_bytes.labels(name).set(loaded.memory_bytes)
        self.metrics.model_info.info(
            {
                "name": name,
                "file": variant.file,
                "runtime": variant.runtime,
                "precision": variant.precision,
                "device": loaded.device,
            }
        )


def _batch_limits(settings: Settings, loaded: LoadedModel) -> BatchLimits:
    return BatchLimits(
        max_batch_samples=loaded.max_batch_samples,
        max_utterance_samples=int(settings.max_pass_s * SAMPLE_RATE_HZ),
        max_batch_size=settings.max_batch_size,
        # Several sessions are for devices on which a batch takes as long as its members one by one.
        max_wait_ms=settings.max_wait_ms if loaded.sessions == 1 else 0,
        max_queue=settings.max_queue,
        max_queue_audio_s=settings.max_queue_audio_s,
        sample_rate_hz=SAMPLE_RATE_HZ,
        batch_invariant=loaded.variant.batch_invariant,
        max_padding_ratio=settings.max_padding_ratio,
        sessions=loaded.sessions,
    )
