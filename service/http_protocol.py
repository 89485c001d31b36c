"""HTTP as uvicorn speaks it, with bounds on what comes before a body.

Uvicorn's fast parser keeps headers of any size, and waits for them for ever.
"""

import asyncio
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.admission import Rejection
from service.errors import HeadersTooLarge
from service.metrics import Metrics
from service.schemas import ErrorBody

MAX_HEAD_BYTES = 64 * 1024
HEAD_S = 20.0


class BoundedHttp(HttpToolsProtocol):
    """Answers 431 to too large a head, and closes where none comes in time.

    Args:
        metrics: fed with those who are turned away so.
        given: what uvicorn gives to every protocol.
    """

    _in_head = True
    _unfinished_bytes = 0  # of a head in several pieces
    _header_bytes = 0
    _head_timer: asyncio.TimerHandle | None = None

    def __init__(self, *, metrics: Metrics, **given: Any) -> None:
        super().__init__(**given)
        self._rejected = metrics.rejected

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client is there, and has yet to say what it wants."""
        super().connection_made(transport)
        self._begin_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""
        self._end_head()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes of a head that is not over count, whatever they are."""
        was_in_head = self._in_head
        super().data_received(data)
        if was_in_head and self._in_head:
            self._unfinished_bytes += len(data)
            if self._is_too_large and not self.transport.is_closing():
                self.send_400_response("")

    def on_message_begin(self) -> None:
        """A head begins."""
        super().on_message_begin()
        self._begin_head()

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header is over.

        Raises:
            HeadersTooLarge: together they are; the parser makes an error of its own of it.
        """
        self._header_bytes += len(name) + len(value)
        if self._is_too_large:
            raise _too_large()
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is over."""
        self._end_head()
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        """What cannot be parsed is answered in the one shape, and the connection closed."""
        self._rejected.labels(Rejection.BAD_HEAD).inc()
        status = HTTPStatus.BAD_REQUEST
        body = ErrorBody.of_status(status)
        if self._is_too_large:
            error = _too_large()
            status, body = HTTPStatus(error.status), ErrorBody.of(error)
        content = body.model_dump_json().encode()
        head = (
            f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: application/json\r\n"
            f"content-length: {len(content)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + content)
        self.transport.close()

    def _begin_head(self) -> None:
        self._end_head()
        self._in_head, self._unfinished_bytes, self._header_bytes = True, 0, 0
        self._head_timer = self.loop.call_later(HEAD_S, self._give_up)

    def _give_up(self) -> None:
        if not self.transport.is_closing():
            self._rejected.labels(Rejection.LATE_HEAD).inc()
            self.transport.close()

    def _end_head(self) -> None:
        self._in_head = False
        if self._head_timer is not None:
            self._head_timer.cancel()

    @property
    def _is_too_large(self) -> bool:
        return max(self._unfinished_bytes, self._header_bytes) > MAX_HEAD_BYTES


def _too_large() -> HeadersTooLarge:
    return HeadersTooLarge(
        f"the request's headers have more than {MAX_HEAD_BYTES} bytes", limit=MAX_HEAD_BYTES
    )
