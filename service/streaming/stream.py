"""One client's stream: bytes and commands in at one side, events out at the other, and measured."""

import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass

from service.audio import SAMPLE_RATE_HZ
from service.errors import ServiceError
from service.metrics import Metrics
from service.streaming.events import Event, Final, Partial
from service.streaming.inbox import Asked, Audio, Command, Inbox, joined
from service.streaming.session import Session
from service.streaming.sources import Source

REMEMBERED = 4096  # arrivals; of older audio the latency is not measured


@dataclass(frozen=True)
class Marked:
    """Everything before a mark was heard.

    Attributes:
        position_s: how much of the stream that is.
    """

    position_s: float


Heard = Event | Marked


class Stream:
    """Joins what a client sends with the session that hears it.

    Two tasks use it: one pushes what comes from the socket and waits where there is too much, the
    other takes the events.

    Args:
        session: hears the audio.
        source: makes samples of bytes.
        metrics: fed with the latencies.
        buffer_s: audio that may wait.
        spend: told of seconds of audio that came; what it raises, `push` does.
        clock: current time in seconds.
    """

    def __init__(
        self,
        session: Session,
        source: Source,
        metrics: Metrics,
        *,
        buffer_s: float,
        spend: Callable[[float], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._session = session
        self._source = source
        self._metrics = metrics
        self._spend = spend
        self._clock = clock
        self._inbox = Inbox(buffer_s, clock)
        self._arrivals: deque[tuple[int, float]] = deque(maxlen=REMEMBERED)
        self._pushed_samples = 0
        self._busy_since_s: float | None = None

    @property
    def position_s(self) -> float:
        """How much of the stream was heard, in seconds."""
        return self._session.position_s

    @property
    def lag_s(self) -> float:
        """How long the oldest audio that nobody has heard yet has been here."""
        oldest_s = self._inbox.oldest_s if self._busy_since_s is None else self._busy_since_s
        return 0.0 if oldest_s is None else self._clock() - oldest_s

    async def push(self, chunk: bytes) -> None:
        """Take bytes of audio; waits while more than enough is here.

        Raises:
            ClientError: they are not the audio that was agreed on.
            RateLimited: no more may come.
        """
        async for samples in self._source.feed(chunk):
            if samples.size:
                await self._inbox.put(samples)
                self._spend(samples.size / SAMPLE_RATE_HZ)

    def finalize(self) -> None:
        """End the utterance, where it is now."""
        self._inbox.ask(Command.FINALIZE)

    def mark(self) -> None:
        """Tell when everything that was pushed was heard."""
        self._inbox.ask(Command.MARK)

    async def stop(self) -> None:
        """No more audio comes: the events end behind all that it says.

        Raises:
            ClientError: a container ended too early.
        """
        async for rest in self._source.end():
            if rest.size:
                await self._inbox.put(rest)
        self._inbox.ask(Command.STOP)

    def leave(self, error: ServiceError) -> None:
        """End the stream with an error, behind the text of all that was pushed before."""
        self._inbox.ask(Command.STOP, error)

    def fail(self, error: ServiceError) -> None:
        """End the events with this error, without the text of an utterance that is not over."""
        self._inbox.fail(error)

    async def events(self) -> AsyncGenerator[Heard, None]:
        """What is heard, as it is heard, until `stop`.

        Raises:
            ServiceError: it cannot be heard, or that of `fail` or `leave`.
        """
        while True:
            taken = await self._inbox.take()
            if isinstance(taken, Asked):
                async for event in self._obey(taken):
                    yield event
                if taken.error is not None:
                    raise taken.error
                if taken.command is Command.STOP:
                    return
            else:
                async for heard in self._hear(taken):
                    yield heard

    def close(self) -> None:
        """Let go of what decodes."""
        self._source.close()

    async def _hear(self, audio: list[Audio]) -> AsyncIterator[Event]:
        self._busy_since_s = audio[0].arrived_s
        for one in audio:
            self._pushed_samples += one.samples.size
            self._arrivals.append((self._pushed_samples, one.arrived_s))
        samples = joined(audio)
        try:
            async for event in self._session.feed(samples):
                self._observe(event, None)
                yield event
        finally:
            self._busy_since_s = None
        self._metrics.audio_seconds.inc(samples.size / SAMPLE_RATE_HZ)

    async def _obey(self, asked: Asked) -> AsyncIterator[Heard]:
        match asked.command:
            case Command.MARK:
                yield Marked(self._session.position_s)
                return
            case Command.FINALIZE:
                events = self._session.finalize()
            case Command.STOP:
                events = self._session.stop()
        async for event in events:
            self._observe(event, asked.arrived_s)
            yield event

    def _observe(self, event: Event, asked_s: float | None) -> None:
        """How long ago what decided this event came: a command, or the last sample it covers."""
        if not isinstance(event, Partial | Final):
            return
        arrived_s = self._arrival_of(event.end_s) if asked_s is None else asked_s
        if arrived_s is None:
            return
        latency_s = self._clock() - arrived_s
        if isinstance(event, Partial):
            self._metrics.stream_partial_latency.observe(latency_s)
        else:
            self._metrics.stream_final_latency.observe(latency_s)

    def _arrival_of(self, position_s: float) -> float | None:
        samples = round(position_s * SAMPLE_RATE_HZ)
        while self._arrivals and self._arrivals[0][0] < samples:
            self._arrivals.popleft()
        return self._arrivals[0][1] if self._arrivals else None
