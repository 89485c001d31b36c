"""What runs in each actor of the job: one engine, the same that the service runs."""

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from files import read_bytes
from parts import Parts, Row

from service.config import Settings, load_settings
from service.errors import ClientError, InferenceFailed
from service.lifecycle import Service
from service.options import Options
from service.schemas import TranscriptionBody

T = TypeVar("T")


def cpus_per_actor(settings: Settings) -> int:
    """The cores that an engine keeps busy: an actor does not have the machine for itself."""
    return (settings.threads or 1) * (settings.sessions or 1)


class TranscribeBatch:
    """Transcribes batches of files.

    Args:
        parts: where results go.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        settings = load_settings()
        threads, sessions = settings.threads or 1, settings.sessions or 1
        self._service = Service(
            settings.model_copy(update={"threads": threads, "sessions": sessions})
        )
        # The engine's own loop, since Ray may call from any thread.
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self._run(self._service.start())

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Transcribe a batch, write its part, and count."""
        rows = self._run(self._rows(list(batch["uris"])))
        self._parts.write(batch["part"], rows)
        failures = sum(row["error"] is not None for row in rows)
        return {"part": batch["part"], "files": len(rows), "failures": failures}

    def __del__(self) -> None:
        """End the engine with the actor."""
        self._run(self._service.drain())

    async def _rows(self, uris: list[str]) -> list[Row]:
        """All at once: the engine groups them by length."""
        room = asyncio.Semaphore(self._service.settings.max_batch_size)
        return list(await asyncio.gather(*(self._row(uri, room) for uri in uris)))

    async def _row(self, uri: str, room: asyncio.Semaphore) -> Row:
        try:
            async with room:
                content = await asyncio.to_thread(read_bytes, uri)
                transcriber = self._service.ready()
                result = await transcriber.transcribe_patiently(content, Options())
        except (ClientError, InferenceFailed) as error:
            self._service.check_alive()  # of a lost device no file is at fault
            return _failed(uri, error.code, error.message)
        except OSError as error:
            return _failed(uri, "unreadable", str(error))
        body = TranscriptionBody.of(result).model_dump(mode="json")
        kept = ("text", "duration_s", "language", "model", "words")
        return {"uri": uri} | {name: body[name] for name in kept} | {"error": None}

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


def _failed(uri: str, code: str, message: str) -> Row:
    nothing = dict.fromkeys(("text", "duration_s", "language", "model", "words"))
    return {"uri": uri} | nothing | {"error": {"code": code, "message": message}}
