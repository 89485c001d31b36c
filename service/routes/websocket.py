"""`WS /ws/transcribe`."""

from fastapi import APIRouter
from starlette.websockets import WebSocket

from service.errors import InvalidRequest
from service.protocols.native import (
    Done,
    ErrorMessage,
    Finalize,
    KeepAlive,
    Ready,
    Start,
    Stop,
    messages_for,
    parse,
)
from service.routes.sockets import Connection, Manners, connected, converse
from service.streaming.stream import Stream
from service.streaming.streams import Streams, Wish

router = APIRouter()


@router.websocket("/ws/transcribe")
async def transcribe(websocket: WebSocket) -> None:
    """Text while somebody speaks; `/asyncapi.json` describes the messages."""
    async with connected(websocket, Manners(ErrorMessage.of)) as (connection, streams):
        start = await _start(connection, streams)
        wish = Wish(
            start.audio_format,
            start.options,
            interim=start.interim,
            silence_s=websocket.app.state.service.settings.endpoint_silence_s,
        )
        async with streams.engine(wish.options) as engine:
            with streams.open(engine, wish, connection.budget.hear_live) as stream:
                latency_ms = streams.latency_ms(engine)
                await connection.send([Ready(kind=engine.kind, latency_ms=latency_ms)])
                await converse(connection, stream, _read(connection, stream), messages_for)
        await connection.send([Done()])


async def _start(connection: Connection, streams: Streams) -> Start:
    while True:
        received = await streams.unless_draining(connection.receive())
        message = None if isinstance(received, bytes) else parse(received)
        if isinstance(message, Start):
            return message
        if not isinstance(message, KeepAlive):
            found = "audio" if message is None else message.type
            raise InvalidRequest(
                f"the first message must be start, not {found}", found=found, limit="start"
            )


async def _read(connection: Connection, stream: Stream) -> None:
    while True:
        received = await connection.receive()
        if isinstance(received, bytes):
            await stream.push(received)
            continue
        match parse(received):
            case Finalize():
                stream.finalize()
            case Stop():
                await stream.stop()
                return
            case Start():
                raise InvalidRequest("the stream has begun: start comes once", found="start")
            case KeepAlive():
                pass
