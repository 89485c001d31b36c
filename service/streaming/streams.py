"""All streams of the process: who may enter, what each needs, and their end together."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from service.admission import Rejection
from service.arrays import FloatArray
from service.audio import AudioLimits
from service.batcher import Batcher, Lane
from service.bundle import Manifest
from service.config import Settings
from service.errors import NotReady, Overloaded
from service.isolation.live import IsolatedContainer
from service.metrics import Metrics
from service.options import Options
from service.reading import Reader
from service.streaming.chunk_loop import ChunkLoop
from service.streaming.endpointing import Endpointing
from service.streaming.incremental import IncrementalRecogniser
from service.streaming.live_container import ContainerSource
from service.streaming.recogniser import Kind
from service.streaming.session import Session
from service.streaming.sources import AudioFormat, RawSource, Source
from service.streaming.speakers import Speaker, Speakers
from service.streaming.stream import Stream
from service.streaming.utterance_reader import UtteranceReader
from service.streaming.windowed import Window, WindowedRecogniser
from service.transcriber import Transcriber

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


@dataclass(frozen=True)
class Engine:
    """What streams stand on.

    Attributes:
        manifest: of the bundle.
        batcher: hears windows, where there is no streaming graph.
        transcriber: checks options, and has the threads.
        reader: of the bundle.
        chunks: runs the streaming graph; None if there is none.
    """

    manifest: Manifest
    batcher: Batcher
    transcriber: Transcriber
    reader: Reader
    chunks: ChunkLoop | None = None


class Streams:
    """Opens streams on one model.

    Args:
        engine: what it stands on.
        metrics: fed with what concerns streams.
        settings: limits.
    """

    def __init__(self, engine: Engine, metrics: Metrics, settings: Settings) -> None:
        self._engine = engine
        self._manifest = engine.manifest
        self._metrics = metrics
        self._settings = settings
        self._limits = AudioLimits(
            max_channels=settings.max_channels,
            min_rate_hz=settings.min_rate_hz,
            max_rate_hz=settings.max_rate_hz,
        )
        self._speakers = Speakers(engine.batcher.make_way)
        self._seats = 0
        self._open: set[Stream] = set()
        self._draining = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()
        metrics.max_streams.set(settings.max_streams)
        metrics.stream_lag.set_function(self._worst_lag_s)

    @property
    def manifest(self) -> Manifest:
        """Of the bundle that is served."""
        return self._manifest

    @property
    def takes_hot_words(self) -> bool:
        """Whether hot words can be made likelier."""
        return "beam" in self._engine.reader.decodings

    @property
    def kind(self) -> Kind:
        """How streams are recognised here."""
        return Kind.WINDOWED if self._engine.chunks is None else Kind.INCREMENTAL

    @property
    def latency_ms(self) -> float:
        """From a sample to the first partial that can hold it, if computing took no time."""
        graph, rate_hz = self._manifest.streaming, self._manifest.sample_rate_hz
        if self._engine.chunks is None or graph is None:
            return self._settings.partial_interval_s * 1000
        chunk_samples = graph.chunk_frames * self._manifest.samples_per_frame
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
    def open(self, wish: Wish, spend: Callable[[float], None]) -> Iterator[Stream]:
        """A stream, for whoever has a seat.

        Args:
            wish: what the client wants.
            spend: told of seconds of audio that came; it may raise `RateLimited`.

        Raises:
            InvalidRequest: what is wanted is not served.
            UnsupportedAudio: the audio's format is outside the limits.
        """
        self._engine.transcriber.check_served(wish.options)
        endpointing = Endpointing(
            wish.silence_s, self._settings.max_utterance_s, wish.utterance_end_s
        )
        recogniser = self._recogniser(wish.options)
        session = Session(recogniser, endpointing, interim=wish.interim)
        source = self._source(wish.audio)
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
        if self._engine.chunks is not None:
            await self._engine.chunks.close()

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

    def _recogniser(self, options: Options) -> IncrementalRecogniser | WindowedRecogniser:
        reader = UtteranceReader(
            self._manifest,
            self._engine.reader,
            options,
            self._metrics,
            self._engine.transcriber.in_thread,
        )
        speaker = Speaker(self._speakers)
        graph = self._manifest.streaming
        if self._engine.chunks is not None and graph is not None:
            return IncrementalRecogniser(graph, self._engine.chunks, reader, speaker)
        window = Window(step_s=self._settings.partial_interval_s)
        return WindowedRecogniser(
            self._infer,
            reader,
            speaker,
            window,
            self._manifest.receptive_field_samples,
            is_busy=self._someone_waits,
        )

    def _someone_waits(self) -> bool:
        return self._engine.batcher.ahead_s(Lane.LIVE) > 0

    async def _infer(self, waveform: FloatArray) -> FloatArray:
        return (await self._engine.batcher.submit(waveform, lane=Lane.LIVE)).logits

    def _source(self, audio: AudioFormat) -> Source:
        if audio.encoding != "container":
            return RawSource(audio, self._limits)
        children = self._engine.transcriber.children
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
