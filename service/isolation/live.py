"""Containers that are decoded while they arrive, each stream's in a child of its own."""

import asyncio
from collections.abc import AsyncIterator

from service.arrays import FloatArray
from service.audio import AudioLimits
from service.errors import ServiceError
from service.isolation import wire
from service.isolation.children import Child, Children
from service.isolation.wire import Kind, Nonsense, Task

CHUNK_BYTES = 1 << 16


class IsolatedContainer:
    """A container that is decoded while it arrives; a `Source` of streams.

    Args:
        children: makes the one that decodes it.
        limits: what to refuse.
    """

    def __init__(self, children: Children, limits: AudioLimits) -> None:
        self._children = children
        self._task = Task(True, limits, children.bounds)
        self._child: Child | None = None
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._is_over = False
        self._failure: ServiceError | None = None

    async def feed(self, chunk: bytes) -> AsyncIterator[FloatArray]:
        """Samples that these bytes complete; see `Source`."""
        for first in range(0, len(chunk), CHUNK_BYTES):
            async for samples in self._ask(Kind.CHUNK, chunk[first : first + CHUNK_BYTES]):
                yield samples

    async def end(self) -> AsyncIterator[FloatArray]:
        """What is left when no more bytes come."""
        async for samples in self._ask(Kind.END, b""):
            yield samples

    def close(self) -> None:
        """Let the child go: it ends with its connection."""
        self._is_over = True
        if self._writer is not None:
            self._writer.transport.abort()

    async def _ask(self, kind: Kind, payload: bytes) -> AsyncIterator[FloatArray]:
        if self._failure is not None:
            raise self._failure
        if self._is_over:
            return
        try:
            async for samples in self._answers(kind, payload):
                yield samples
        except ServiceError as error:
            self._failure = error
            raise
        except (asyncio.IncompleteReadError, OSError, Nonsense):
            self._failure = await self._autopsy()
            raise self._failure from None

    async def _answers(self, kind: Kind, payload: bytes) -> AsyncIterator[FloatArray]:
        reader, writer = await self._connected()
        writer.write(wire.message(kind, payload))
        await writer.drain()
        while True:
            size = wire.header(await reader.readexactly(wire.HEADER.size))
            kind, payload = size[0], await reader.readexactly(size[1])
            match kind:
                case Kind.SAMPLES:
                    yield wire.read_samples(payload)[1]
                case Kind.HUNGRY:
                    return
                case Kind.DONE:
                    self._is_over = True
                    return
                case Kind.FAILURE:
                    raise wire.read_failure(payload)
                case _:
                    raise Nonsense(f"{kind.name} while a stream is decoded")

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._reader is None or self._writer is None:
            self._child = await asyncio.to_thread(self._children.fork)
            self._reader, self._writer = await asyncio.open_unix_connection(
                sock=self._child.connection
            )
            self._writer.write(wire.message(Kind.TASK, self._task.packed()))
        return self._reader, self._writer

    async def _autopsy(self) -> ServiceError:
        assert self._child is not None, "only a child can die"
        self.close()
        _, error = await asyncio.to_thread(self._children.autopsy, self._child)
        return error
