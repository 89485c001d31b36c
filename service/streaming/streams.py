"""All streams of the process: who may enter, what each needs, and their end together."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
    contextmanager,
)
from dataclasses import dataclass
from typing import Any, TypeVar

from service.admission import Rejection
from service.audio import AudioLimits
from service.config import Settings
from service.errors import NotReady, Overloaded
from service.isolation.children import Children
from service.isolation.live import IsolatedContainer
from service.metrics import Metrics
from service.options import Options
from service.streaming.endpointing import Endpointing
from service.streaming.engine import Engine
from service.streaming.incremental import IncrementalRecogniser
from service.streaming.live_container import ContainerSource
from service.streaming.session import Session
from service.streaming.sources import AudioFormat, RawSource, Source
from service.streaming.speakers import Speaker, Speakers
from service.streaming.stream import Stream
from service.streaming.utterance_reader import UtteranceReader
from service.streaming.windowed import Window, WindowedRecogniser

T = TypeVar("T")

RETRY_AFTER_S = 10.0  # people speak for longer than files take
DRAINING = "the service is finishing its last streams before it exits"


@dataclass(frozen=True)
class Wish:
    """What a client wants of its stream.

    Attributes:
        audio: what it sends.
        options: of the recognition.
        interim: whether partials are wanted.
        silence_s: what ends an utterance; None leaves it to `finalize` and the longest utterance.
        utterance_end_s: tell when nobody has spoken for so long.
    """

    audio: AudioFormat
    options: Options
    interim: bool
    silence_s: float | None
    utterance_end_s: float | None = None


class Streams:
    """Opens streams.

    Args:
        choose: keeps a model for as long as a stream needs it.
        make_way: told when people begin to speak, and when nobody does any more.
        metrics: fed with what concerns streams.
        settings: limits.
    """

    def __init__(
        self,
        choose: Callable[[Options], AbstractAsyncContextManager[Engine]],
        make_way: Callable[[bool], None],
        metrics: Metrics,
        settings: Settings,
    ) -> None:
        self._choose = choose
        self._metrics = metrics
        self._settings = settings
        self._limits = AudioLimits(
            max_channels=settings.max_channels,
            min_rate_hz=settings.min_rate_hz,
            max_rate_hz=settings.max_rate_hz,
        )
        self._speakers = Speakers(make_way)
        self._seats = 0
        self._open: set[Stream] = set()
        self._draining = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()
        metrics.max_streams.set(settings.max_streams)
        metrics.stream_lag.set_function(self._worst_lag_s)

    @asynccontextmanager
    async def engine(self, options: Options) -> AsyncIterator[Engine]:
        """What a stream with these options stands on, kept for it until the end.

        Raises:
            NotReady: draining.
            ServiceError: there is no such model, or it cannot be had now.
        """
        async with AsyncExitStack() as stack:
            choosing = stack.enter_async_context(self._choose(options))
            yield await self.unless_draining(choosing)

    def latency_ms(self, engine: Engine) -> float:
        """From a sample to the first partial that can hold it, if computing took no time."""
        graph, rate_hz = engine.manifest.streaming, engine.manifest.sample_rate_hz
        if engine.chunks is None or graph is None:
            return self._settings.partial_interval_s * 1000
        chunk_samples = graph.chunk_frames * engine.manifest.samples_per_frame
        return (chunk_samples + graph.lookahead_samples) / rate_hz * 1000

    @contextmanager
    def seat(self) -> Iterator[None]:
        """A place for one connection, whether or not it has begun its stream.

        Raises:
            NotReady: draining.
            Overloaded: there are as many as may be.
        """
        if self._draining.is_set():
            self._metrics.rejected.labels(Rejection.NOT_READY).inc()
            raise NotReady(DRAINING)
        if self._seats >= (limit := self._settings.max_streams):
            self._metrics.rejected.labels(Rejection.STREAMS_FULL).inc()
            raise Overloaded(
                f"{self._seats} streams are open, the limit is {limit}",
                retry_after_s=RETRY_AFTER_S,
                found=self._seats,
                limit=limit,
            )
        self._take_seats(1)
        try:
            yield
        finally:
            self._take_seats(-1)

    @contextmanager
    def open(self, engine: Engine, wish: Wish, spend: Callable[[float], None]) -> Iterator[Stream]:
        """A stream, for whoever has a seat.

        Args:
            engine: what it stands on.
            wish: what the client wants.
            spend: told of seconds of audio that came; it may raise `RateLimited`.

        Raises:
            InvalidRequest: what is wanted is not served.
            UnsupportedAudio: the audio's format is outside the limits.
        """
        engine.transcriber.check_served(wish.options)
        endpointing = Endpointing(
            wish.silence_s, self._settings.max_utterance_s, wish.utterance_end_s
        )
        recogniser = self._recogniser(engine, wish.options)
        session = Session(recogniser, endpointing, interim=wish.interim)
        source = self._source(wish.audio, engine.transcriber.children)
        stream = Stream(
            session,
            source,
            self._metrics,
            buffer_s=self._settings.stream_buffer_s,
            spend=spend,
        )
        self._open.add(stream)
        if self._draining.is_set():
            stream.leave(NotReady(DRAINING))
        try:
            yield stream
        finally:
            self._open.discard(stream)
            stream.close()
            recogniser.close()

    async def drain(self) -> None:
        """End every stream, the text of what was said first; wait until all clients know."""
        self._draining.set()
        for stream in self._open:
            stream.leave(NotReady(DRAINING))
        await self._empty.wait()

    async def unless_draining(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of work that a client without a stream waits for.

        Raises:
            NotReady: the streams are told to end before it is there.
        """
        waiting = asyncio.create_task(self._draining.wait())
        working = asyncio.create_task(work)
        try:
            await asyncio.wait({working, waiting}, return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                return working.result()
            raise NotReady(DRAINING)
        finally:
            for task in (working, waiting):
                task.cancel()
            await asyncio.wait({working, waiting})

    def _recogniser(
        self, engine: Engine, options: Options
    ) -> IncrementalRecogniser | WindowedRecogniser:
        manifest, in_thread = engine.manifest, engine.transcriber.in_thread
        reader = UtteranceReader(manifest, engine.reader, options, self._metrics, in_thread)
        speaker = Speaker(self._speakers)
        if engine.chunks is not None and manifest.streaming is not None:
            return IncrementalRecogniser(manifest.streaming, engine.chunks, reader, speaker)
        window = Window(step_s=self._settings.partial_interval_s)
        return WindowedRecogniser(
            engine.infer,
            reader,
            speaker,
            window,
            manifest.receptive_field_samples,
            is_busy=engine.someone_waits,
        )

    def _source(self, audio: AudioFormat, children: Children | None) -> Source:
        if audio.encoding != "container":
            return RawSource(audio, self._limits)
        if children is None:
            return ContainerSource(self._limits)
        return IsolatedContainer(children, self._limits)

    def _take_seats(self, count: int) -> None:
        self._seats += count
        self._metrics.active_streams.set(self._seats)
        if self._seats:
            self._empty.clear()
        else:
            self._empty.set()

    def _worst_lag_s(self) -> float:
        return max((stream.lag_s for stream in list(self._open)), default=0.0)
