"""Answers as server-sent events, which keep what they stand on open until their end."""

import logging
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, aclosing

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from service.errors import InternalError, ServiceError
from service.schemas import ErrorBody, Wire

MEDIA_TYPE = "text/event-stream"
HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}  # proxies: pass on at once

logger = logging.getLogger(__name__)


class EventStream(Response):
    """One event after the other; an error that comes after the first is the last event.

    Args:
        first: there already, so that errors before it had a status.
        others: ends with the client, who is watched by what makes the events.
        held: left when the stream ends.
    """

    def __init__(
        self, first: Wire, others: AsyncGenerator[Wire, None], held: AsyncExitStack
    ) -> None:
        super().__init__(None, headers=HEADERS, media_type=MEDIA_TYPE)
        del self.headers["content-length"]
        self._first = first
        self._others = others
        self._held = held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer; the signature is ASGI's."""
        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        try:
            await self._send_events(start, send)
        except ClientDisconnect:
            return
        except ServiceError as error:
            await _send(send, ErrorBody.of(error))
        except Exception:
            logger.exception("a stream of events failed")
            await _send(
                send, ErrorBody.of(InternalError("something went wrong, the log says what"))
            )
        await send({"type": "http.response.body", "body": b""})

    async def _send_events(self, start: dict[str, object], send: Send) -> None:
        async with self._held, aclosing(self._others) as others:
            await send(start)
            await _send(send, self._first)
            async for event in others:
                await _send(send, event)


async def _send(send: Send, event: Wire) -> None:
    body = f"data: {event.model_dump_json(exclude_none=True)}\n\n".encode()
    await send({"type": "http.response.body", "body": body, "more_body": True})
