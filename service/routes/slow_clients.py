"""Clients that send a body so slowly that they only hold a place; `http_protocol` has the heads."""

import asyncio
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import UploadStalled

LEAST_BYTES = 1024  # of a body, while its patience lasts


class PatientBodies:
    """ASGI middleware; a body that stalls ends its request.

    Args:
        app: what it surrounds.
        stall_s: in which `LEAST_BYTES` must come.
    """

    def __init__(self, app: ASGIApp, stall_s: float) -> None:
        self._app = app
        self._stall_s = stall_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection; the signature is ASGI's."""
        if scope["type"] == "http":
            receive = _Body(receive, self._stall_s).receive
        await self._app(scope, receive, send)


class _Body:
    """Only the time in which the service waits for the client counts."""

    def __init__(self, receive: Receive, stall_s: float) -> None:
        self._receive = receive
        self._stall_s = self._left_s = stall_s
        self._bytes = 0
        self._is_over = False

    async def receive(self) -> Message:
        """The next message.

        Raises:
            UploadStalled: it does not come.
        """
        if self._is_over:
            return await self._receive()
        started_s = time.monotonic()
        try:
            async with asyncio.timeout(self._left_s):
                message = await self._receive()
        except TimeoutError as error:
            self._is_over = True
            raise UploadStalled(
                f"{self._bytes} bytes came in {self._stall_s:g} s, at least {LEAST_BYTES} must",
                found=self._bytes,
                limit=LEAST_BYTES,
            ) from error
        self._note(message, time.monotonic() - started_s)
        return message

    def _note(self, message: Message, waited_s: float) -> None:
        self._is_over = not message.get("more_body", False)
        self._bytes += len(message.get("body", b""))
        self._left_s = max(0.0, self._left_s - waited_s)
        if self._bytes >= LEAST_BYTES:
            self._bytes, self._left_s = 0, self._stall_s
