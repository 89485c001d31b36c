"""`WS /vosk`: for clients of vosk-server, which send a piece and wait for its answer."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing

from fastapi import APIRouter
from starlette.websockets import WebSocket

from service.errors import NotReady, ServiceError
from service.options import Options
from service.protocols.vosk import Setup, VoskError, VoskPartial, parse
from service.routes.sockets import Connection, Manners, connected
from service.schemas import Wire
from service.streaming.engine import Engine
from service.streaming.events import Final, Partial
from service.streaming.sources import AudioFormat
from service.streaming.stream import Heard, Marked, Stream
from service.streaming.streams import Streams, Wish

router = APIRouter()


@router.websocket("/vosk")
async def recognise(websocket: WebSocket) -> None:
    """The protocol of vosk-server."""
    async with connected(websocket, Manners(VoskError.of)) as (connection, streams):
        silence_s = websocket.app.state.service.settings.endpoint_silence_s
        async with streams.engine(Options()) as engine, AsyncExitStack() as stack:
            await Recogniser(connection, streams, engine, stack, silence_s).run()


class Recogniser:
    """Answers one client, message by message.

    Args:
        connection: the client's.
        streams: where its stream is opened, with its first audio.
        engine: what the stream stands on.
        stack: closes the stream.
        silence_s: what ends an utterance.
    """

    def __init__(
        self,
        connection: Connection,
        streams: Streams,
        engine: Engine,
        stack: AsyncExitStack,
        silence_s: float,
    ) -> None:
        self._connection = connection
        self._streams = streams
        self._engine = engine
        self._stack = stack
        self._silence_s = silence_s
        self._setup = Setup()
        self._stream: Stream | None = None
        self._events: AsyncIterator[Heard] | None = None
        self._finals: list[Final] = []
        self._partial = ""

    async def run(self) -> None:
        """Until the client's last message."""
        while True:
            try:
                received = await self._streams.unless_draining(self._connection.receive())
            except NotReady:
                await self._part()
                raise
            if isinstance(received, bytes):
                await self._hear(received)
                continue
            message = parse(received)
            if message.config is not None:
                await self._configure(self._setup.changed_by(message.config))
            if message.reset:
                await self._reset()
            if message.eof:
                await self._end()
                return

    async def _configure(self, setup: Setup) -> None:
        """Take what was set; another rate or other phrases begin another stream."""
        if (setup.sample_rate_hz, setup.hot_words) != (
            self._setup.sample_rate_hz,
            self._setup.hot_words,
        ):
            await self._stack.aclose()
            self._stream = self._events = None
        self._setup = setup

    async def _hear(self, chunk: bytes) -> None:
        stream = await self._opened()
        pushing = asyncio.create_task(_push(stream, chunk))  # waits for us where it is much
        try:
            await self._take_events()
        except NotReady:
            await self._connection.send(self._answer())
            raise
        finally:
            pushing.cancel()
        await self._connection.send(self._answer())

    async def _reset(self) -> None:
        if self._stream is not None:
            self._stream.finalize()
            self._stream.mark()
            await self._take_events()
        await self._send_result()

    async def _end(self) -> None:
        if self._stream is not None:
            await self._stream.stop()
            await self._take_events()
        await self._send_result()

    async def _part(self) -> None:
        """The service drains: tell what was said; the stream was told to end, too."""
        if self._stream is None:
            return
        try:
            await self._take_events()
        except NotReady:
            await self._send_result()

    async def _take_events(self) -> None:
        """Up to the next mark or the end."""
        assert self._events is not None, "taken without a stream"
        async for event in self._events:
            match event:
                case Marked():
                    return
                case Partial():
                    self._partial = event.text
                case Final():
                    self._finals.append(event)
                    self._partial = ""

    def _answer(self) -> list[Wire]:
        if not self._finals:
            return [VoskPartial(partial=self._partial)]
        finals, self._finals = self._finals, []
        return [self._setup.result(finals)]

    async def _send_result(self) -> None:
        finals, self._finals = self._finals, []
        await self._connection.send([self._setup.result(finals)])

    async def _opened(self) -> Stream:
        if self._stream is None:
            hot_words = self._setup.hot_words if self._engine.takes_hot_words else ()
            wish = Wish(
                AudioFormat("pcm_s16le", self._setup.sample_rate_hz),
                Options(hot_words=hot_words),
                interim=True,
                silence_s=self._silence_s,
            )
            self._stream = self._stack.enter_context(
                self._streams.open(self._engine, wish, self._connection.budget.hear_live)
            )
            events = aclosing(self._stream.events())
            self._events = await self._stack.enter_async_context(events)
        return self._stream


async def _push(stream: Stream, chunk: bytes) -> None:
    try:
        await stream.push(chunk)
    except ServiceError as error:
        stream.leave(error)
    else:
        stream.mark()
