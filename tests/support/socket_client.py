"""A client on a real socket, which holds every answer to what AsyncAPI says of it."""

import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

import httpx
import numpy as np
import websockets
from jsonschema import Draft202012Validator
from patience import PATIENCE_S

from service.arrays import FloatArray
from service.protocols.asyncapi import CHANNELS, document, schema_of

Message = dict[str, Any]


class Client:
    """Sends messages, and checks what comes back."""

    def __init__(self, socket: websockets.ClientConnection, path: str) -> None:
        self.socket = socket
        self._validator = _validator(path.partition("?")[0])

    async def say(self, kind: str, **fields: Any) -> None:
        await self.socket.send(json.dumps({"type": kind, **fields}))

    async def begin(self, encoding: str = "pcm_s16le", **fields: Any) -> Message:
        await self.say("start", encoding=encoding, **fields)
        return await self.next()

    async def send(self, data: bytes, piece_bytes: int = 6400) -> None:
        for first in range(0, len(data), piece_bytes):
            await self.socket.send(data[first : first + piece_bytes])

    async def next(self) -> Message:
        return self._read(await self.socket.recv())

    async def until(self, kind: str) -> Message:
        while (message := await self.next())["type"] != kind:
            pass
        return message

    async def rest(self) -> list[Message]:
        """All messages until the server closes."""
        return [self._read(message) async for message in _messages(self.socket)]

    def _read(self, text: str | bytes) -> Message:
        message: Message = json.loads(text)
        self._validator.validate(message)
        return message

    @property
    def close_code(self) -> int | None:
        return self.socket.close_code


@cache
def _validator(path: str) -> Draft202012Validator:
    (channel,) = [channel for channel in CHANNELS if channel.address == path]
    return Draft202012Validator(schema_of(channel, document("0")))


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
        yield Client(socket, path)


def pcm(waveform: FloatArray) -> bytes:
    """Samples as pcm_s16le."""
    return (waveform * 32767).astype("<i2").tobytes()


def of_type(messages: Iterable[Message], kind: str) -> list[Message]:
    return [message for message in messages if message["type"] == kind]


def silence(seconds: float) -> FloatArray:
    return np.zeros(round(seconds * 16_000), np.float32)
