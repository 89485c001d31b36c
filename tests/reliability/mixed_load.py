"""Clients of every kind at once, good and bad ones, each at its own pace, until a time is over."""

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial

import httpx
import numpy as np
import websockets
from audio_files import wav
from mutations import Mutator
from recordings import joined, recordings
from socket_client import pcm, silence

from service.arrays import FloatArray

ANSWER_S = 120
PIECE_S = 0.1
SPOKEN_CLIPS = 2  # in one stream
NO_KEEP_ALIVE = httpx.Limits(max_keepalive_connections=0)


@dataclass
class Record:
    """What good clients met: when, how long it took, and what went wrong."""

    short_s: list[tuple[float, float]] = field(default_factory=list)
    """Of requests with a clip: when they were answered, and how long that took."""
    done: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def note(self, kind: str, fault: str | None) -> None:
        self.done[kind] += 1
        if fault is not None:
            self.wrong.append(f"{kind}: {fault}")


class MixedLoad:
    """Short files, long files, jobs, streams, files that are none, and clients that leave.

    Args:
        url: of the server.
        pause_s: between two requests of a client, on average; less is more load.
    """

    def __init__(self, url: httpx.URL, pause_s: float) -> None:
        self.record = Record()
        self._url = url
        self._pause_s = pause_s
        self._dice = random.Random(0)
        self._mutator = Mutator(1)
        clips = recordings()
        self._clips = [clip.path.read_bytes() for clip in clips]
        self._waveforms = [clip.waveform() for clip in clips]
        self._long = wav(joined(self._waveforms))
        self._texts: dict[bytes, str] = {}
        self._started_s = 0.0

    async def run(self, duration_s: float) -> Record:
        """All of them, for so long and until the last answer."""
        self._started_s = time.monotonic()
        limits = {"limits": NO_KEEP_ALIVE, "timeout": ANSWER_S}
        async with httpx.AsyncClient(base_url=self._url, **limits) as http:
            clients: list[Callable[[], Awaitable[None]]] = [
                *[partial(self._short, http)] * 2,
                partial(self._long_file, http),
                partial(self._job, http),
                *[self._speak] * 2,
                partial(self._bad, http),
                self._leave_upload,
                self._hang_up,
            ]
            await asyncio.gather(*(self._repeat(client, duration_s) for client in clients))
        return self.record

    async def _repeat(self, client: Callable[[], Awaitable[None]], duration_s: float) -> None:
        while time.monotonic() - self._started_s < duration_s:
            try:
                await client()
            except Exception as error:  # noqa: BLE001  a client that breaks is a fault, too
                self.record.note("client", repr(error))
            await asyncio.sleep(self._pause_s * self._dice.uniform(0.5, 1.5))

    async def _short(self, http: httpx.AsyncClient) -> None:
        clip = self._dice.choice(self._clips)
        begun_s = time.monotonic()
        answer = await http.post("/transcribe", files={"file": clip})
        now_s = time.monotonic()
        self.record.short_s.append((now_s - self._started_s, now_s - begun_s))
        self.record.note("short file", self._fault(clip, answer))

    async def _long_file(self, http: httpx.AsyncClient) -> None:
        answer = await http.post("/transcribe", files={"file": self._long})
        self.record.note("long file", self._fault(self._long, answer))
        await asyncio.sleep(self._pause_s * 5)

    async def _job(self, http: httpx.AsyncClient) -> None:
        clip = self._dice.choice(self._clips)
        posted = await http.post("/jobs", files={"file": clip})
        if posted.status_code != 202:
            self.record.note("job", posted.text)
            return
        place = posted.headers["location"]
        body = {"status": "queued"}
        while body["status"] in ("queued", "running"):
            await asyncio.sleep(0.2)
            body = (await http.get(place)).json()
        fault = body["error"] if body["result"] is None else self._other(clip, body["result"])
        self.record.note("job", fault)
        await http.delete(place)

    async def _speak(self) -> None:
        clips = self._dice.choices(self._waveforms, k=SPOKEN_CLIPS)
        spoken = pcm(np.concatenate([part for clip in clips for part in (clip, silence(1))]))
        async with self._socket() as socket_:
            await socket_.send(json.dumps({"type": "start", "encoding": "pcm_s16le"}))
            sending = asyncio.create_task(self._send_in_real_time(socket_, spoken))
            kinds = [json.loads(message)["type"] async for message in socket_]
            await sending
        is_good = kinds[-1:] == ["done"] and "final" in kinds
        self.record.note("stream", None if is_good else f"{kinds[-3:]}")

    async def _bad(self, http: httpx.AsyncClient) -> None:
        mutant = self._mutator.draw()
        answer = await http.post("/transcribe", files={"file": mutant.content})
        self.record.note("mutant", None if answer.status_code < 500 else answer.text)

    async def _leave_upload(self) -> None:
        """In the middle of an upload, without a word."""
        head = (
            "POST /transcribe HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n"
            "Content-Type: multipart/form-data; boundary=x\r\n\r\n--x\r\n"
        )
        address = (self._url.host, self._url.port or 80)
        _, writer = await asyncio.open_connection(*address)
        writer.write(head.encode() + bytes(self._dice.randrange(50_000)))
        await asyncio.sleep(0.1)
        writer.transport.abort()
        self.record.note("upload that is left", None)

    async def _hang_up(self) -> None:
        """In the middle of a stream, without a word."""
        speech = pcm(self._dice.choice(self._waveforms))
        async with self._socket() as socket_:
            await socket_.send(json.dumps({"type": "start", "encoding": "pcm_s16le"}))
            await socket_.send(speech[: self._dice.randrange(2, len(speech))])
            socket_.transport.abort()
        self.record.note("stream that is left", None)

    async def _send_in_real_time(self, socket_: websockets.ClientConnection, spoken: bytes) -> None:
        piece_bytes = int(PIECE_S * 32_000)
        for first in range(0, len(spoken), piece_bytes):
            await socket_.send(spoken[first : first + piece_bytes])
            await asyncio.sleep(PIECE_S)
        await socket_.send(json.dumps({"type": "stop"}))

    def _socket(self) -> websockets.connect:
        url = f"ws://{self._url.host}:{self._url.port}/ws/transcribe"
        return websockets.connect(url, proxy=None, open_timeout=ANSWER_S)

    def _fault(self, content: bytes, answer: httpx.Response) -> str | None:
        if answer.status_code != 200:
            return answer.text
        return self._other(content, answer.json())

    def _other(self, content: bytes, body: dict[str, object]) -> str | None:
        """What is wrong with a transcript: it must be what this file had before."""
        text = str(body["text"])
        first = self._texts.setdefault(content, text)
        return None if text == first else f"{text!r} instead of {first!r}"


def percentile_99_ms(latencies_s: list[float]) -> tuple[float, float, float]:
    """With the bounds of its 95 % bootstrap interval, in milliseconds."""
    found: FloatArray = np.array(latencies_s, np.float32)
    dice = np.random.default_rng(0)
    draws = np.percentile(dice.choice(found, (1000, found.size)), 99, axis=1)
    low, high = np.percentile(draws, [2.5, 97.5])
    return (float(np.percentile(found, 99)) * 1e3, float(low) * 1e3, float(high) * 1e3)
