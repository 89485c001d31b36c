"""Containers as they arrive, such as Opus in webm from a browser's MediaRecorder, in a thread.

libav asks for bytes when it wants them, so it runs in a thread of its own, which waits where the
bytes end. Whoever feeds it waits in turn until the thread wants more: what a chunk completes has
then been decoded. A few bytes may hold hours of silence, so the thread waits, too, until what it
has decoded is taken from it.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable

import numpy as np

from service.arrays import FloatArray
from service.audio import SAMPLE_RATE_HZ, AudioLimits
from service.containers import live_blocks
from service.errors import ServiceError
from service.resampling import Resampler

PIECE_SAMPLES = 5 * SAMPLE_RATE_HZ  # decoded ahead


class _Pipe:
    """A file that can only be read, and is still being written.

    Args:
        on_hungry: called in the reading thread when all bytes were read.
    """

    def __init__(self, on_hungry: Callable[[], None]) -> None:
        self._on_hungry = on_hungry
        self._bytes = bytearray()
        self._is_over = False
        self._changed = threading.Condition()

    def write(self, chunk: bytes) -> None:
        with self._changed:
            self._bytes += chunk
            self._changed.notify()

    def end(self) -> None:
        with self._changed:
            self._is_over = True
            self._changed.notify()

    def read(self, size: int) -> bytes:
        """At least one byte, up to `size`; none at the end."""
        with self._changed:
            if not self._bytes and not self._is_over:
                self._on_hungry()
            while not self._bytes and not self._is_over:
                self._changed.wait()
            chunk = bytes(self._bytes[:size])
            del self._bytes[: len(chunk)]
            return chunk


class ContainerSource:
    """A container that is decoded while it arrives.

    Args:
        limits: what to refuse.
    """

    def __init__(self, limits: AudioLimits) -> None:
        self._resampler = Resampler(limits)
        self._pipe = _Pipe(self._tell)
        self._decoded: list[FloatArray] = []
        self._is_full = False
        self._taken = threading.Event()
        self._failure: ServiceError | None = None
        self._loop = asyncio.get_running_loop()
        self._waits = asyncio.Event()
        self._is_over = self._is_closed = False
        self._thread = threading.Thread(target=self._run, name="stt-container", daemon=True)
        self._thread.start()

    async def feed(self, chunk: bytes) -> AsyncIterator[FloatArray]:
        """Samples that these bytes complete; see `Source`."""
        await self._waits.wait()
        if chunk and not self._is_over:
            self._waits.clear()
            self._pipe.write(chunk)
        async for samples in self._decoded_pieces():
            yield samples

    async def end(self) -> AsyncIterator[FloatArray]:
        """What is left when no more bytes come."""
        await self._waits.wait()
        if not self._is_over:
            self._waits.clear()
            self._pipe.end()
        async for samples in self._decoded_pieces():
            yield samples

    def close(self) -> None:
        """Let the thread go."""
        self._is_closed = True
        self._pipe.end()
        self._taken.set()

    async def _decoded_pieces(self) -> AsyncIterator[FloatArray]:
        """All that the thread decodes until it wants bytes, or has come to its end."""
        while True:
            await self._waits.wait()
            decoded, self._decoded = self._decoded, []
            yield np.concatenate([np.empty(0, np.float32), *decoded])
            if self._failure is not None:
                raise self._failure
            if not self._is_full:
                return
            self._is_full = False
            self._waits.clear()
            self._taken.set()

    def _tell(self) -> None:
        """To the event loop, unless it is gone with everything else."""
        try:
            self._loop.call_soon_threadsafe(self._waits.set)
        except RuntimeError:
            self._pipe.end()

    def _run(self) -> None:
        try:
            self._decode()
        except ServiceError as error:
            self._failure = error
        finally:
            self._is_over = True
            self._tell()

    def _decode(self) -> None:
        for rate_hz, block in live_blocks(self._pipe):
            if self._is_closed:
                return
            self._decoded.append(self._resampler.add(rate_hz, block))
            if sum(piece.size for piece in self._decoded) >= PIECE_SAMPLES:
                self._wait_until_taken()
        self._decoded.append(self._resampler.end())

    def _wait_until_taken(self) -> None:
        self._taken.clear()
        self._is_full = True
        self._tell()
        if not self._is_closed:
            self._taken.wait()
