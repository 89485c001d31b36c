"""Recognition by a server, with patience where it is busy or being restarted."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path

from pydantic import ValidationError

from service.bulk.client import Answer, Server
from service.bulk.outcomes import ExitCode, FileFailed, NothingGoes, Recognise
from service.errors import NotReady
from service.options import FIELDS
from service.schemas import TranscriptionBody

BUSY = HTTPStatus.TOO_MANY_REQUESTS
AGAIN_S = 1.0  # where a server does not tell when
AWAY_S = (1.0, 2.0, 4.0, 8.0, 16.0)  # waits for a server that does not answer, or not yet
FIRST_AWAY_S = (1.0,)  # as long as it never did


class Remote:
    """Asks one server.

    Args:
        server: where.
        threads: one for each request at once.
    """

    def __init__(self, server: Server, threads: ThreadPoolExecutor) -> None:
        self._server = server
        self._threads = threads
        self._has_answered = False

    async def recognise(self, path: Path) -> TranscriptionBody:
        """Send a file until it is taken.

        Raises:
            FileFailed: it cannot be read, or the server does not take it.
            NothingGoes: the server does not answer, or takes no file.
        """
        away = 0
        while True:
            answer = await self._ask(path)
            if isinstance(answer, Answer) and answer.status == BUSY:
                await asyncio.sleep(answer.retry_after_s or AGAIN_S)
            elif isinstance(answer, Answer) and not _is_away(answer):
                return _body(answer)
            else:
                waits_s = AWAY_S if self._has_answered else FIRST_AWAY_S
                if away >= len(waits_s):
                    raise NothingGoes(f"{self._server.url} does not answer: {_why(answer)}")
                await asyncio.sleep(waits_s[away])
                away += 1

    async def _ask(self, path: Path) -> Answer | OSError:
        """An answer, or why there is none."""
        loop = asyncio.get_running_loop()
        try:
            answer = await loop.run_in_executor(self._threads, self._server.post, path)
        except OSError as error:
            if error.filename is not None:
                raise FileFailed(error.strerror or str(error)) from error
            return error
        self._has_answered = True
        return answer


@asynccontextmanager
async def recognising(server: Server, parallel: int) -> AsyncIterator[Recognise]:
    """What recognises files until the end, so many at once."""
    threads = ThreadPoolExecutor(parallel, "stt-client")
    try:
        yield Remote(server, threads).recognise
    finally:
        threads.shutdown(wait=False, cancel_futures=True)


def _body(answer: Answer) -> TranscriptionBody:
    if answer.status == HTTPStatus.OK:
        try:
            return TranscriptionBody.model_validate(answer.body)
        except ValidationError as fault:
            raise NothingGoes("the server's answer is not a transcript; is --url right?") from fault
    error = _error(answer)
    message, code = str(error.get("message", f"HTTP status {answer.status}")), error.get("code")
    if answer.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        raise NothingGoes(message)
    if error.get("param") in FIELDS:  # no file's fault
        raise NothingGoes(message, ExitCode.USAGE)
    raise FileFailed(message, str(code) if code else None)


def _error(answer: Answer) -> Mapping[str, object]:
    error = answer.body.get("error")
    return error if isinstance(error, dict) else {}


def _is_away(answer: Answer) -> bool:
    """Whether the server is starting or stopping, or what stands before it finds none."""
    if answer.status in (HTTPStatus.BAD_GATEWAY, HTTPStatus.GATEWAY_TIMEOUT):
        return not answer.body
    return answer.status == HTTPStatus.SERVICE_UNAVAILABLE and (
        not answer.body or _error(answer).get("code") == NotReady.code
    )


def _why(answer: Answer | OSError) -> str:
    if isinstance(answer, OSError):
        return answer.strerror or str(answer)
    return str(_error(answer).get("message", f"HTTP status {answer.status}"))
