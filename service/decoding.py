"""Files to waveforms off the event loop: bounded in threads, processes and memory."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from threading import Event
from typing import TypeVar

from service.arrays import FloatArray
from service.audio import SAMPLE_RATE_HZ, AudioLimits, Source, decode_audio
from service.audio_memory import AudioMemory
from service.isolation.children import Children
from service.isolation.files import decode_in_child

T = TypeVar("T")

LARGE_BYTES = 1024**2  # half a minute of WAV, some minutes of compressed speech


class Decoder:
    """Decodes large files in threads of their own, so that no small one waits for them.

    Args:
        limits: what to refuse.
        workers: threads of each kind.
        memory: what all waveforms together may take.
        children: processes to decode in; None decodes in the threads.
    """

    def __init__(
        self,
        limits: AudioLimits,
        workers: int,
        memory: AudioMemory,
        children: Children | None = None,
    ) -> None:
        self._limits = limits
        self._memory = memory
        self.children = children
        self._threads = ThreadPoolExecutor(workers, "stt-decode")
        self._large_threads = ThreadPoolExecutor(workers, "stt-decode-large")

    @asynccontextmanager
    async def decoded(self, source: Source) -> AsyncIterator[FloatArray]:
        """The waveform `[samples]` of a file, and the memory that it takes until the end.

        Raises:
            ClientError: the audio cannot be used, see `decode_audio`.
            Overloaded: there is no memory for it now.
        """
        with self._memory.share() as resize:
            waveform = await self._decode(source, resize)
            resize(waveform.size / SAMPLE_RATE_HZ)
            yield waveform

    async def run(self, function: Callable[..., T], *args: object) -> T:
        """Call something short in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *args)

    def close(self) -> None:
        """Let the threads go; what runs in them ends on its own."""
        for threads in (self._threads, self._large_threads):
            threads.shutdown(wait=False, cancel_futures=True)

    async def _decode(self, source: Source, resize: Callable[[float], None]) -> FloatArray:
        stop = Event()

        def watch(seconds: float) -> None:
            if stop.is_set():
                raise CancelledError
            resize(seconds)

        is_large = await self.run(_size_bytes, source) > LARGE_BYTES
        threads = self._large_threads if is_large else self._threads
        if self.children is None:
            job = threads.submit(decode_audio, source, self._limits, watch=watch)
        else:
            job = threads.submit(decode_in_child, self.children, source, self._limits, watch)
        decoding = asyncio.wrap_future(job)
        try:
            return await asyncio.shield(decoding)
        except asyncio.CancelledError:
            stop.set()
            job.cancel()
            # The caller closes the source as soon as we leave, and nobody asks what came of it.
            await asyncio.gather(decoding, return_exceptions=True)
            raise


def _size_bytes(source: Source) -> int:
    if isinstance(source, bytes):
        return len(source)
    if isinstance(source, str | Path):
        return Path(source).stat().st_size
    return source.seek(0, os.SEEK_END)
