"""What the WebSocket routes share: letting in, receiving with patience, and the one way to fail."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from service.access.budgets import Budget
from service.errors import InternalError, ServiceError, StreamIdle
from service.lifecycle import Service
from service.logs import REQUEST_ID
from service.metrics import Metrics
from service.routes.access import Door
from service.routes.middleware import REQUEST_ID_HEADER, request_id_of
from service.schemas import Wire
from service.streaming.stream import Heard, Stream
from service.streaming.streams import Streams

NORMAL, ABNORMAL = 1000, 1006

logger = logging.getLogger(__name__)

Shape = Callable[[ServiceError], Wire]


@dataclass(frozen=True)
class Manners:
    """What a protocol has of its own where all others do alike.

    Attributes:
        shape: of an error; it is sent before the close code of the error's class.
        id_headers: under which the request's id is told, beside the usual one.
        reasons: of closing, for some errors; the others close with their code.
    """

    shape: Shape
    id_headers: tuple[str, ...] = ()
    reasons: Mapping[type[ServiceError], str] = field(default_factory=dict)

    def reason(self, error: ServiceError) -> str:
        """Why the socket is closed, for machines."""
        named = (one for kind, one in self.reasons.items() if isinstance(error, kind))
        return next(named, error.code)


class Connection:
    """A WebSocket.

    Attributes:
        request_id: of the stream, in the log.
        close_code: that it ended with, by either side.
        budget: what the client may use, once it was let in.

    Args:
        websocket: not accepted yet.
        start_s: how long the client may take to say anything at all.
        idle_s: how long it may say nothing after that.
    """

    budget: Budget

    def __init__(self, websocket: WebSocket, start_s: float, idle_s: float) -> None:
        self.request_id = request_id_of(websocket.headers)
        self.close_code = ABNORMAL
        self._websocket = websocket
        self._patience_s, self._idle_s = min(start_s, idle_s), idle_s

    async def accept(self, id_headers: Sequence[str]) -> None:
        """Let the client in; browsers that name a subprotocol want to hear one of theirs."""
        REQUEST_ID.set(self.request_id)
        names = (REQUEST_ID_HEADER, *id_headers)
        headers = [(name.lower().encode(), self.request_id.encode()) for name in names]
        subprotocols = self._websocket.scope.get("subprotocols", [])
        await self._websocket.accept(next(iter(subprotocols), None), headers)

    async def receive(self) -> str | bytes:
        """The next message: text as `str`, audio as `bytes`.

        Raises:
            StreamIdle: none came for too long.
            WebSocketDisconnect: the client is gone.
        """
        try:
            async with asyncio.timeout(self._patience_s):
                message = await self._websocket.receive()
        except TimeoutError as error:
            raise StreamIdle(
                f"neither audio nor a message came for {self._patience_s:g} s",
                found=self._patience_s,
                limit=self._patience_s,
            ) from error
        self._patience_s = self._idle_s
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1005), message.get("reason"))
        if (text := message.get("text")) is not None:
            return str(text)
        return bytes(message["bytes"])

    async def send(self, messages: Sequence[Wire]) -> None:
        """Tell the client; waits while it reads too slowly.

        Raises:
            WebSocketDisconnect: the client is gone.
        """
        for message in messages:
            await self._websocket.send_text(message.model_dump_json(exclude_none=True))

    async def close(self, code: int = NORMAL, reason: str = "") -> None:
        """Say goodbye, unless the client already has."""
        if self._websocket.application_state is WebSocketState.CONNECTED:
            self.close_code = code
            await self._websocket.close(code, reason)


@asynccontextmanager
async def connected(
    websocket: WebSocket, manners: Manners
) -> AsyncIterator[tuple[Connection, Streams]]:
    """Accept a client, give it a seat, and end as it ends: the one renderer of errors.

    Args:
        websocket: not accepted yet.
        manners: of the protocol.
    """
    service: Service = websocket.app.state.service
    door: Door = websocket.app.state.door
    settings = service.settings
    connection = Connection(websocket, settings.stream_start_s, settings.stream_idle_s)
    await connection.accept(manners.id_headers)
    started_s = time.monotonic()
    try:
        with door.stream(websocket) as connection.budget:
            streams = service.ready_for_streams()
            with streams.seat():
                yield connection, streams
                await connection.close()
    except WebSocketDisconnect as gone:
        connection.close_code = gone.code
    except ServiceError as error:
        await _fail(connection, error, manners)
    except Exception:
        logger.exception("a stream of %s failed", websocket.url.path)
        await _fail(connection, InternalError("something went wrong, the log says what"), manners)
    finally:
        _observe(websocket, connection, service.metrics, time.monotonic() - started_s)


async def converse(
    connection: Connection,
    stream: Stream,
    reading: Coroutine[Any, Any, None],
    messages_for: Callable[[Heard], Sequence[Wire]],
) -> None:
    """Read from a client and tell it what is heard, both at once, until the stream is stopped.

    Args:
        connection: the client's.
        stream: the client's.
        reading: pushes what comes into the stream; a `ServiceError` of it ends the stream, behind
            the text of what came before.
        messages_for: what the client is told of an event.

    Raises:
        WebSocketDisconnect: the client is gone.
        ServiceError: the stream failed.
    """

    async def read() -> None:
        try:
            await reading
        except ServiceError as error:
            stream.leave(error)

    async def tell() -> None:
        async with aclosing(stream.events()) as events:
            async for event in events:
                await connection.send(messages_for(event))

    reader, teller = asyncio.create_task(read()), asyncio.create_task(tell())
    try:
        await asyncio.wait({reader, teller}, return_when=asyncio.FIRST_EXCEPTION)
        for task in (reader, teller):
            if task.done():
                task.result()
    finally:
        for task in (reader, teller):
            task.cancel()
        await asyncio.wait({reader, teller})


async def _fail(connection: Connection, error: ServiceError, manners: Manners) -> None:
    logger.info("a stream fails with %s: %s", error.code, error.message)
    try:
        await connection.send([manners.shape(error)])
        await connection.close(error.ws_close, manners.reason(error))
    except WebSocketDisconnect:
        pass


def _observe(
    websocket: WebSocket, connection: Connection, metrics: Metrics, duration_s: float
) -> None:
    """Count a stream by its address and close code, and log a line."""
    endpoint = websocket.scope["route"].path
    metrics.requests.labels(endpoint, str(connection.close_code)).inc()
    facts = {
        "endpoint": endpoint,
        "status": connection.close_code,
        "duration_s": round(duration_s, 4),
        "request_id": connection.request_id,
    }
    line = "WS %(endpoint)s %(status)d %(duration_s).3f s %(request_id)s"
    logger.info(line, facts, extra=facts)
