"""The client of `WS /ws/transcribe`: a file, a pipe or a microphone in, text on a terminal out."""

import asyncio
import json
import shutil
import signal
from collections.abc import AsyncIterator
from contextlib import aclosing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TextIO

import numpy as np
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI

from service.audio import SAMPLE_RATE_HZ, decode_audio

PIECE_S = 0.1
PIPE_BYTES = 4096
NEW_LINE = "\r\033[K"  # to the line's beginning, and clear it

Json = dict[str, Any]


class StreamFailed(Exception):
    """The stream ended otherwise than by `done`; the text says why, for people."""


@dataclass(frozen=True)
class Speech:
    """What is to be sent.

    Attributes:
        start: what the first message says of it.
        pieces: bytes, as they become available.
    """

    start: Json
    pieces: AsyncIterator[bytes]


class Terminal:
    """Shows partials on one line and finals above it; where there is no terminal, finals only.

    Args:
        output: where to.
    """

    def __init__(self, output: TextIO) -> None:
        self._output = output
        self._is_terminal = output.isatty()

    def show(self, message: Json) -> None:
        """Show a message of the server."""
        text = message.get("text", "")
        if message["type"] == "final" and text:
            self._write((NEW_LINE if self._is_terminal else "") + text + "\n")
        elif message["type"] in {"partial", "final"} and self._is_terminal:
            columns = shutil.get_terminal_size().columns
            self._write(NEW_LINE + text[-columns + 1 :])

    def _write(self, text: str) -> None:
        self._output.write(text)
        self._output.flush()


def from_file(path: Path, *, in_real_time: bool) -> Speech:
    """A file, decoded here.

    Args:
        path: of an audio file.
        in_real_time: as if it were spoken now; otherwise as fast as it is taken.

    Raises:
        ClientError: it cannot be decoded.
        OSError: it cannot be read.
    """
    samples = (decode_audio(path) * 32767).clip(-32768, 32767).astype("<i2")
    count = max(1, round(samples.size / SAMPLE_RATE_HZ / PIECE_S))
    pieces = [piece.tobytes() for piece in np.array_split(samples, count)]
    return Speech(_start("pcm_s16le"), _paced(pieces, PIECE_S if in_real_time else 0.0))


def from_pipe(pipe: BinaryIO, rate_hz: int | None) -> Speech:
    """What another program writes.

    Args:
        pipe: of a container, or of 16-bit samples of one channel.
        rate_hz: of the samples; None for a container.
    """
    start = _start("container") if rate_hz is None else _start("pcm_s16le", rate_hz)
    return Speech(start, _read(pipe))


def from_microphone() -> Speech:
    """The system's microphone.

    Raises:
        StreamFailed: `sounddevice` is not installed, or finds none.
    """
    try:
        import sounddevice
    except (ImportError, OSError) as error:
        raise StreamFailed(
            f"no microphone without the package sounddevice ({error}): "
            "install wsm-stt with the extra microphone, and the library PortAudio"
        ) from error
    return Speech(_start("pcm_s16le"), _recorded(sounddevice))


async def stream(
    url: str,
    speech: Speech,
    terminal: Terminal,
    *,
    language: str | None,
    api_key: str | None = None,
) -> None:
    """Send speech and show what is heard, until it ends or Ctrl-C ends it.

    Args:
        url: of the server's `/ws/transcribe`.
        speech: to be sent.
        terminal: where it is shown.
        language: asked for; None leaves it to the model.
        api_key: for a server that asks for one.

    Raises:
        StreamFailed: the server is not there, or ended the stream.
    """
    try:
        headers = {} if api_key is None else {"Authorization": f"Bearer {api_key}"}
        async with connect(url, additional_headers=headers) as socket:
            await socket.send(json.dumps(speech.start | {"language": language}))
            sending = asyncio.create_task(_send(socket, speech))
            try:
                await _show(socket, terminal)
            finally:
                sending.cancel()
                await asyncio.wait({sending})
    except (OSError, InvalidHandshake, InvalidURI, ConnectionClosed) as error:
        raise StreamFailed(f"{url}: {error}") from error


async def _show(socket: ClientConnection, terminal: Terminal) -> None:
    while True:
        message = json.loads(await socket.recv())
        if message["type"] == "error":
            raise StreamFailed(f"{message['message']} [{message['code']}]")
        if message["type"] == "done":
            return
        terminal.show(message)


async def _send(socket: ClientConnection, speech: Speech) -> None:
    """All pieces and the end; whether the server takes them is what it answers."""
    stop = _interrupted()
    with suppress(ConnectionClosed):
        async with aclosing(speech.pieces) as pieces:  # type: ignore[type-var]
            while (piece := await _next(pieces, stop)) is not None:
                await socket.send(piece)
        await socket.send(json.dumps({"type": "stop"}))


async def _next(pieces: AsyncIterator[bytes], stop: asyncio.Event) -> bytes | None:
    """The next piece; None behind the last, or when it shall stop."""
    coming = asyncio.ensure_future(anext(pieces, None))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({coming, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not coming.done():
        coming.cancel()
        await asyncio.wait({coming})
        return None
    return coming.result()


def _interrupted() -> asyncio.Event:
    """Set by Ctrl-C, which then ends the speech and not the program; a second one does."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()

    def interrupt() -> None:
        loop.remove_signal_handler(signal.SIGINT)
        stop.set()

    with suppress(NotImplementedError, RuntimeError):  # Windows, and other threads
        loop.add_signal_handler(signal.SIGINT, interrupt)
    return stop


async def _paced(pieces: list[bytes], interval_s: float) -> AsyncIterator[bytes]:
    loop = asyncio.get_running_loop()
    started_s = loop.time()
    for number, piece in enumerate(pieces, start=1):
        if interval_s:
            await asyncio.sleep(started_s + number * interval_s - loop.time())
        yield piece


async def _read(pipe: BinaryIO) -> AsyncIterator[bytes]:
    read = getattr(pipe, "read1", pipe.read)
    while piece := await asyncio.to_thread(read, PIPE_BYTES):
        yield piece


async def _recorded(sounddevice: Any) -> AsyncIterator[bytes]:  # noqa: ANN401
    loop, pieces = asyncio.get_running_loop(), asyncio.Queue[bytes]()

    def take(samples: Any, *_: object) -> None:  # noqa: ANN401
        loop.call_soon_threadsafe(pieces.put_nowait, bytes(samples))

    try:
        recording = sounddevice.RawInputStream(
            samplerate=SAMPLE_RATE_HZ,
            blocksize=round(PIECE_S * SAMPLE_RATE_HZ),
            channels=1,
            dtype="int16",
            callback=take,
        )
    except sounddevice.PortAudioError as error:
        raise StreamFailed(f"no microphone: {error}") from error
    with recording:
        while True:
            yield await pieces.get()


def _start(encoding: str, rate_hz: int = SAMPLE_RATE_HZ) -> Json:
    return {"type": "start", "encoding": encoding, "sample_rate": rate_hz}
