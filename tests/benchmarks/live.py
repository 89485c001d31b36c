"""People who speak at once, each over a WebSocket, at the pace of speech or as fast as it goes."""

import asyncio
import json
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from websockets.asyncio.client import ClientConnection, connect

from service.arrays import FloatArray
from service.audio import SAMPLE_RATE_HZ
from tests.benchmarks.spoken import SpokenClip

PIECE_S = 0.1
PAUSE_S = 1.2  # between two sentences: they end by silence


@dataclass
class Heard:
    """What one of them was told.

    Attributes:
        said: the words, as they should be.
        finals: the text of each utterance.
        partial_times_s: when the partials of each utterance came, since the stream began; by the
            utterance's start.
    """

    said: str
    finals: list[str] = field(default_factory=list)
    partial_times_s: dict[float, list[float]] = field(default_factory=lambda: defaultdict(list))

    @property
    def gaps_s(self) -> list[float]:
        """From one partial to the next of the same utterance."""
        times = self.partial_times_s.values()
        return [after - before for one in times for before, after in pairwise(one)]


def speech(clips: Sequence[SpokenClip], first: int, length_s: float) -> tuple[FloatArray, str]:
    """Clips from this one on, with pauses, and what is said in them."""
    pause = np.zeros(round(PAUSE_S * SAMPLE_RATE_HZ), np.float32)
    parts: list[FloatArray] = []
    said: list[str] = []
    while sum(part.size for part in parts) < length_s * SAMPLE_RATE_HZ:
        clip = clips[(first + len(said)) % len(clips)]
        parts += [clip.waveform, pause]
        said.append(" ".join(clip.words))
    return np.concatenate(parts), " ".join(said)


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[ClientConnection]:
    """A stream that is ready for audio."""
    address = url.replace("http", "ws", 1) + "/ws/transcribe"
    async with connect(address, proxy=None, compression=None, ping_interval=None) as socket:
        await socket.send(json.dumps({"type": "start", "encoding": "pcm_s16le"}))
        await socket.recv()
        yield socket


async def speak(
    url: str,
    waveform: FloatArray,
    heard: Heard,
    *,
    wait_s: float = 0.0,
    paced: bool = True,
    on_final: Callable[[dict[str, Any]], None] = lambda _: None,
) -> None:
    """Send a waveform, and keep what is told.

    Args:
        url: of the server.
        waveform: `[samples]`, 16 kHz.
        heard: where it is kept.
        wait_s: before it begins, so that not all begin at once.
        paced: as fast as people speak.
        on_final: told each final as it comes.
    """
    await asyncio.sleep(wait_s)
    async with opened(url) as socket:
        started_s = time.perf_counter()
        sending = asyncio.create_task(_send(socket, waveform, paced=paced))
        async for text in socket:
            message = json.loads(text)
            if message["type"] == "partial":
                now_s = time.perf_counter() - started_s
                heard.partial_times_s[message["start_s"]].append(now_s)
            elif message["type"] == "final":
                heard.finals.append(message["text"])
                on_final(message)
        await sending


async def crowd(url: str, clips: Sequence[SpokenClip], size: int, length_s: float) -> list[Heard]:
    """So many at once, each with other sentences."""
    speeches = [speech(clips, 3 * number, length_s) for number in range(size)]
    heard = [Heard(said) for _, said in speeches]
    await asyncio.gather(
        *(
            speak(url, waveform, one, wait_s=number / size)
            for number, ((waveform, _), one) in enumerate(zip(speeches, heard, strict=True))
        )
    )
    return heard


async def _send(socket: ClientConnection, waveform: FloatArray, *, paced: bool) -> None:
    samples = (waveform * 32767).clip(-32768, 32767).astype("<i2")
    piece = round(PIECE_S * SAMPLE_RATE_HZ)
    started_s = time.perf_counter()
    for first in range(0, samples.size, piece):
        if paced:
            due_s = started_s + (first + piece) / SAMPLE_RATE_HZ
            await asyncio.sleep(due_s - time.perf_counter())
        await socket.send(samples[first : first + piece].tobytes())
    await socket.send('{"type": "stop"}')
