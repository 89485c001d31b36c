"""Containers as they arrive, such as Opus in webm from a browser's MediaRecorder.

libav asks for bytes when it wants them, so it runs in a thread of its own, which waits where the
bytes end. Whoever feeds it waits in turn until the thread wants more: what a chunk completes has
then been decoded, and no more is held than that.
"""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import av
import numpy as np

from service.arrays import FloatArray
from service.audio import AudioLimits
from service.containers import CONTAINERS, planes_of
from service.errors import ServiceError, UnsupportedAudio
from service.streaming.sources import Resampler

# Do not wait for seconds of audio to find out what the header says.
OPTIONS = {
    "format_whitelist": CONTAINERS,
    "probesize": "4096",
    "formatprobesize": "32768",
    "analyzeduration": "0",
}
BUFFER_BYTES = 4096


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
        self._failure: Exception | None = None
        self._loop = asyncio.get_running_loop()
        self._wants_more = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="stt-container", daemon=True)
        self._thread.start()

    async def feed(self, chunk: bytes) -> FloatArray:
        """Samples that these bytes complete; see `Source`."""
        await self._wants_more.wait()
        if chunk and self._failure is None:
            self._wants_more.clear()
            self._pipe.write(chunk)
            await self._wants_more.wait()
        return self._take()

    async def end(self) -> FloatArray:
        """What is left when no more bytes come."""
        await self._wants_more.wait()
        if self._thread.is_alive():
            self._wants_more.clear()
            self._pipe.end()
            await self._wants_more.wait()
        return self._take()

    def close(self) -> None:
        """Let the thread go."""
        self._pipe.end()

    def _take(self) -> FloatArray:
        decoded, self._decoded = self._decoded, []
        if self._failure is not None:
            raise self._failure
        return np.concatenate([np.empty(0, np.float32), *decoded])

    def _tell(self) -> None:
        """To the event loop, unless it is gone with everything else."""
        try:
            self._loop.call_soon_threadsafe(self._wants_more.set)
        except RuntimeError:
            self._pipe.end()

    def _run(self) -> None:
        try:
            self._decode()
        except ServiceError as error:
            self._failure = error
        except (av.FFmpegError, ValueError) as error:
            self._failure = UnsupportedAudio("the stream is not audio in a container we read")
            self._failure.__cause__ = error
        finally:
            self._tell()

    def _decode(self) -> None:
        opened: Any = av.open(
            self._pipe, "r", options=OPTIONS, buffer_size=BUFFER_BYTES, metadata_errors="replace"
        )
        with opened as container:
            if not container.streams.audio:
                raise UnsupportedAudio("the stream holds no audio", found=0, limit=1)
            for frame in container.decode(audio=0):
                self._decoded.append(self._resampler.add(frame.sample_rate, planes_of(frame)))
        self._decoded.append(self._resampler.end())
