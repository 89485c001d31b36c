"""What runs in a child: files, one after the other, or one live stream."""

import os
import resource
import signal
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

import numpy as np

from service.arrays import FloatArray
from service.audio import SAMPLE_RATE_HZ, decoded_pieces
from service.containers import live_blocks
from service.errors import ServiceError, UnsupportedAudio
from service.isolation import wire
from service.isolation.wire import Kind, Task
from service.resampling import Resampler

PIECE_SAMPLES = SAMPLE_RATE_HZ  # small messages would cost the parent more than the decoding
OPEN_FILES = 64


def serve(connection: socket.socket) -> None:
    """Do every task that comes, and say what came of it.

    Raises:
        OSError: the parent is gone, or wants no more.
    """
    while True:
        task, file = _receive_task(connection)
        _confine(task)
        _do(task, file, connection)
        signal.setitimer(signal.ITIMER_REAL, 0)


def _do(task: Task, file: int, connection: socket.socket) -> None:
    outbox = _Outbox(connection, task)
    try:
        if task.is_live:
            _decode_live(_Inbox(connection, outbox), outbox, task)
        else:
            _decode_file(file, outbox, task)
    except ServiceError as error:
        outbox.fail(error)
    except MemoryError:
        limit = task.bounds.memory_bytes
        outbox.fail(UnsupportedAudio(f"decoding it takes more than {limit} bytes", limit=limit))
    else:
        outbox.flush()
        outbox.say(Kind.DONE)


def _receive_task(connection: socket.socket) -> tuple[Task, int]:
    first, files, _, _ = socket.recv_fds(connection, wire.HEADER.size, 1)
    if len(first) < wire.HEADER.size:
        raise ConnectionError("the parent wants no more")
    _, size_bytes = wire.header(first)
    return Task.unpacked(_read(connection, size_bytes)), files[0] if files else -1


def _read(connection: socket.socket, size_bytes: int) -> bytes:
    received = bytearray()
    while len(received) < size_bytes:
        if not (chunk := connection.recv(size_bytes - len(received))):
            raise ConnectionError("the parent is gone")
        received += chunk
    return bytes(received)


def _confine(task: Task) -> None:
    """Bound what this process can do to the machine; the kernel holds it to that."""
    for limit, most in (
        (resource.RLIMIT_DATA, task.bounds.memory_bytes),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, OPEN_FILES),
    ):
        with suppress(ValueError):  # more than the service itself may have
            resource.setrlimit(limit, (most, most))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # it ends the process, whatever runs in C
    signal.setitimer(signal.ITIMER_REAL, task.bounds.timeout_s)


def _decode_file(file: int, outbox: "_Outbox", task: Task) -> None:
    with os.fdopen(file, "rb") as opened, closing(decoded_pieces(opened, task.limits)) as pieces:
        for seconds, piece in pieces:
            outbox.add(piece, seconds)


def _decode_live(inbox: "_Inbox", outbox: "_Outbox", task: Task) -> None:
    resampler = Resampler(task.limits)
    for rate_hz, block in live_blocks(inbox):
        outbox.add(resampler.add(rate_hz, block))
    outbox.add(resampler.end())


class _Outbox:
    """Collects samples into messages; the clock stands still while the parent does not read."""

    def __init__(self, connection: socket.socket, task: Task) -> None:
        self._connection = connection
        self._is_live = task.is_live
        self._timeout_s = task.bounds.timeout_s
        self._pieces: list[FloatArray] = []
        self._samples = 0
        self._seconds = 0.0
        self._is_new = True

    def add(self, piece: FloatArray, seconds: float = 0.0) -> None:
        self._pieces.append(piece)
        self._samples += piece.size
        self._seconds = seconds
        if self._samples >= PIECE_SAMPLES or self._is_new:
            self.flush()

    def flush(self) -> None:
        samples = np.concatenate([np.empty(0, np.float32), *self._pieces])
        self._pieces, self._samples, self._is_new = [], 0, False
        for first in range(0, max(1, samples.size), wire.MAX_SAMPLES):
            part = samples[first : first + wire.MAX_SAMPLES]
            self.say(Kind.SAMPLES, wire.samples_payload(self._seconds, part))

    def fail(self, error: ServiceError) -> None:
        """Behind all that was decoded before."""
        self.flush()
        self.say(Kind.FAILURE, wire.failure_payload(error))

    def say(self, kind: Kind, payload: bytes = b"") -> None:
        with self.waiting():
            self._connection.sendall(wire.message(kind, payload))

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """While the parent is waited for; a live stream has its whole time again afterwards."""
        left_s, _ = signal.setitimer(signal.ITIMER_REAL, 0)
        yield
        signal.setitimer(signal.ITIMER_REAL, self._timeout_s if self._is_live else left_s)


class _Inbox:
    """A file that can only be read, and is still being sent."""

    def __init__(self, connection: socket.socket, outbox: _Outbox) -> None:
        self._connection = connection
        self._outbox = outbox
        self._bytes = b""
        self._is_over = self._was_fed = False

    def read(self, size: int) -> bytes:
        """At least one byte, up to `size`; none at the end."""
        while not self._bytes and not self._is_over:
            try:
                self._receive()
            except OSError:  # the parent is gone; libav would print what goes through it
                self._is_over = True
        chunk, self._bytes = self._bytes[:size], self._bytes[size:]
        return chunk

    def _receive(self) -> None:
        if self._was_fed:
            self._outbox.flush()
            self._outbox.say(Kind.HUNGRY)
        with self._outbox.waiting():
            kind, self._bytes = wire.receive(lambda count: _read(self._connection, count))
        self._was_fed = True
        self._is_over = kind is Kind.END
