"""Files to waveforms in children."""

import os
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import numpy as np

from service.arrays import FloatArray
from service.audio import SAMPLE_RATE_HZ, AudioLimits, Source
from service.isolation import wire
from service.isolation.children import Child, Children, Death
from service.isolation.wire import Kind, Nonsense, Task

WATCH_S = 0.5  # between two looks at whether the audio is still wanted
SLACK_S = 1.0  # of a resampler; a child that gives more audio than allowed is not ours any more
COPIED_BYTES = 1024**2  # what lies in memory is not much larger


class _Died(Exception):
    """The child ended before its file."""


def decode_in_child(
    children: Children, source: Source, limits: AudioLimits, watch: Callable[[float], None]
) -> FloatArray:
    """As `decode_audio`, in a process of its own; a child that crashes is given a second one.

    Args:
        children: makes them.
        source: the file's bytes, its path, or a seekable binary file.
        limits: what to refuse.
        watch: called while decoding, every now and then, with the seconds of audio that the file
            promises, or gave by now; what it raises ends the decoding.

    Raises:
        UnsupportedAudio: also if it breaks the decoder, twice, or takes too long.
        Overloaded: the system gives no process now.
    """
    with _open(source) as file:
        for is_last in (False, True):
            child = children.fork() if is_last else children.borrow()
            try:
                waveform = _decode(child, Task(False, limits, children.bounds), file, watch)
            except (_Died, Nonsense):
                death, error = children.autopsy(child)
                if is_last or death is Death.TIMEOUT:
                    raise error from None
            except BaseException:
                children.end(child)
                raise
            else:
                children.give_back(child, waveform.size / SAMPLE_RATE_HZ)
                return waveform
    raise AssertionError("the second child was the last")


def _decode(child: Child, task: Task, file: int, watch: Callable[[float], None]) -> FloatArray:
    decoded = bytearray()
    seconds = 0.0
    child.connection.settimeout(WATCH_S)
    _send_task(child.connection, task, file)

    def read(size_bytes: int) -> bytes:
        return _read(child.connection, size_bytes, lambda: watch(seconds))

    while (received := wire.receive(read))[0] is not Kind.DONE:
        kind, payload = received
        if kind is Kind.FAILURE:
            raise wire.read_failure(payload)
        if kind is not Kind.SAMPLES:
            raise Nonsense(f"{kind.name} while a file is decoded")
        seconds, samples = wire.read_samples(payload)
        decoded += samples.data
        _check_length(len(decoded) / samples.itemsize / SAMPLE_RATE_HZ, task.limits)
        watch(seconds)
    return np.frombuffer(decoded, np.float32)


def _check_length(decoded_s: float, limits: AudioLimits) -> None:
    if decoded_s > limits.max_duration_s + SLACK_S:
        raise Nonsense(f"{decoded_s:.1f} s of audio")


def _send_task(connection: socket.socket, task: Task, file: int) -> None:
    try:
        socket.send_fds(connection, [wire.message(Kind.TASK, task.packed())], [file])
    except OSError as error:
        raise _Died from error


def _read(connection: socket.socket, size_bytes: int, look: Callable[[], None]) -> bytes:
    received = bytearray()
    while len(received) < size_bytes:
        try:
            chunk = connection.recv(size_bytes - len(received))
        except TimeoutError:
            look()
        except OSError as error:
            raise _Died from error
        else:
            if not chunk:
                raise _Died
            received += chunk
    return bytes(received)


@contextmanager
def _open(source: Source) -> Iterator[int]:
    """A descriptor of the file, which a child can be given."""
    if isinstance(source, str | Path):
        with Path(source).open("rb") as opened:
            yield opened.fileno()
    elif isinstance(source, bytes):
        with _copy(source) as copied:
            yield copied.fileno()
    else:
        with _descriptor(source) as descriptor:
            yield descriptor


@contextmanager
def _descriptor(source: IO[bytes]) -> Iterator[int]:
    """Of a file on disk its own; what lies in memory, as short uploads do, is copied."""
    if source.seek(0, os.SEEK_END) > COPIED_BYTES:
        with suppress(OSError):  # it has none
            descriptor = source.fileno()
            source.flush()
            yield descriptor
            return
    source.seek(0)
    with _copy(source.read()) as copied:
        yield copied.fileno()


def _copy(content: bytes) -> IO[bytes]:
    if hasattr(os, "memfd_create"):
        file: IO[bytes] = os.fdopen(os.memfd_create("stt-upload"), "w+b")
    else:
        file = tempfile.TemporaryFile()  # noqa: SIM115  the caller closes it
    file.write(content)
    file.flush()
    return file
