"""`WS /v1/listen`: for clients of Deepgram's live API."""

from importlib.metadata import version

from fastapi import APIRouter
from starlette.websockets import WebSocket

from service.errors import StreamIdle, UnsupportedAudio
from service.lifecycle import Service
from service.protocols.deepgram import DeepgramError, ModelInfo, Teller, parse
from service.protocols.deepgram_query import Listening
from service.routes.health import DISTRIBUTION
from service.routes.sockets import Connection, Manners, connected, converse
from service.streaming.stream import Stream

REQUEST_ID_HEADER = "dg-request-id"
MANNERS = Manners(
    DeepgramError.of,
    id_headers=(REQUEST_ID_HEADER,),
    reasons={UnsupportedAudio: "DATA-0000", StreamIdle: "NET-0001"},
)

router = APIRouter()


@router.websocket("/v1/listen")
async def listen(websocket: WebSocket) -> None:
    """Deepgram's live API, as far as there is something to answer it with."""
    async with connected(websocket, MANNERS) as (connection, streams):
        service: Service = websocket.app.state.service
        listening = Listening.of(
            websocket.query_params,
            silence_s=service.settings.endpoint_silence_s,
            offers=service.models.offers,
        )
        async with streams.engine(listening.wish.options) as engine:
            model = ModelInfo(name=engine.manifest.name, version=version(DISTRIBUTION))
            teller = Teller(connection.request_id, model, listening)
            with streams.open(engine, listening.wish, connection.budget.hear_live) as stream:
                reading = _read(connection, stream, teller)
                await converse(connection, stream, reading, teller.messages_for)
        await connection.send([teller.metadata(stream.position_s)])


async def _read(connection: Connection, stream: Stream, teller: Teller) -> None:
    while True:
        received = await connection.receive()
        if isinstance(received, bytes) and received:
            teller.digest.update(received)
            await stream.push(received)
            continue
        match parse(received) if isinstance(received, str) else "CloseStream":
            case "Finalize":
                stream.finalize()
            case "CloseStream":
                await stream.stop()
                return
