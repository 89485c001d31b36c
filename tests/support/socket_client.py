"""A client of `WS /ws/transcribe` on a real socket."""

import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import numpy as np
import websockets
from server_process import PATIENCE_S

from service.arrays import FloatArray

Message = dict[str, Any]


class Client:
    """Sends messages, and keeps what comes back."""

    def __init__(self, socket: websockets.ClientConnection) -> None:
        self.socket = socket

    async def say(self, kind: str, **fields: Any) -> None:
        await self.socket.send(json.dumps({"type": kind, **fields}))

    async def begin(self, encoding: str = "pcm_s16le", **fields: Any) -> Message:
        await self.say("start", encoding=encoding, **fields)
        return await self.next()

    async def send(self, data: bytes, piece_bytes: int = 6400) -> None:
        for first in range(0, len(data), piece_bytes):
            await self.socket.send(data[first : first + piece_bytes])

    async def next(self) -> Message:
        message: Message = json.loads(await self.socket.recv())
        return message

    async def until(self, kind: str) -> Message:
        while (message := await self.next())["type"] != kind:
            pass
        return message

    async def rest(self) -> list[Message]:
        """All messages until the server closes."""
        return [json.loads(message) async for message in _messages(self.socket)]

    @property
    def close_code(self) -> int | None:
        return self.socket.close_code


async def _messages(socket: websockets.ClientConnection) -> AsyncIterator[str | bytes]:
    try:
        async for message in socket:
            yield message
    except websockets.ConnectionClosedError:
        pass


@asynccontextmanager
async def streaming(
    http: httpx.Client, path: str = "/ws/transcribe", **options: Any
) -> AsyncIterator[Client]:
    """A connection to the server that an HTTP client talks to."""
    url = f"ws://{http.base_url.host}:{http.base_url.port}{path}"
    async with websockets.connect(
        url, proxy=None, open_timeout=PATIENCE_S, close_timeout=PATIENCE_S, **options
    ) as socket:
        yield Client(socket)


def pcm(waveform: FloatArray) -> bytes:
    """Samples as pcm_s16le."""
    return (waveform * 32767).astype("<i2").tobytes()


def of_type(messages: Iterable[Message], kind: str) -> list[Message]:
    return [message for message in messages if message["type"] == kind]


def silence(seconds: float) -> FloatArray:
    return np.zeros(round(seconds * 16_000), np.float32)
