"""What a client has sent and nobody has heard yet, in order, and bounded."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

import numpy as np

from service.arrays import FloatArray
from service.audio import SAMPLE_RATE_HZ
from service.errors import ServiceError


class Command(Enum):
    """What a client may ask for between its audio.

    `MARK` asks to be told when everything before it was heard.
    """

    FINALIZE = auto()
    MARK = auto()
    STOP = auto()


@dataclass(frozen=True)
class Audio:
    """Samples `[samples]`, and when the newest of them came."""

    samples: FloatArray
    arrived_s: float


@dataclass(frozen=True)
class Asked:
    """A command, when it came, and the error that the stream shall end with behind it."""

    command: Command
    arrived_s: float
    error: ServiceError | None = None


Item = Audio | Asked | ServiceError


class Inbox:
    """Between whoever reads a socket and whoever hears what came.

    Args:
        limit_s: audio from which on `put` waits.
        clock: current time in seconds.
    """

    def __init__(self, limit_s: float, clock: Callable[[], float]) -> None:
        self._limit_samples = limit_s * SAMPLE_RATE_HZ
        self._clock = clock
        self._items: deque[Item] = deque()
        self._samples = 0
        self._filled = asyncio.Event()
        self._emptied = asyncio.Event()

    @property
    def oldest_s(self) -> float | None:
        """When the oldest audio in it came."""
        return next((one.arrived_s for one in self._items if isinstance(one, Audio)), None)

    async def put(self, samples: FloatArray) -> None:
        """Add audio; waits while there is too much already."""
        arrived_s = self._clock()
        while self._samples >= self._limit_samples:
            self._emptied.clear()
            await self._emptied.wait()
        self._samples += samples.size
        self._items.append(Audio(samples, arrived_s))
        self._filled.set()

    def ask(self, command: Command, error: ServiceError | None = None) -> None:
        """Add a command, and what to end with behind it."""
        self._items.append(Asked(command, self._clock(), error))
        self._filled.set()

    def fail(self, error: ServiceError) -> None:
        """Let whoever takes from it meet this error, behind all that came before."""
        self._items.append(error)
        self._filled.set()

    async def take(self) -> list[Audio] | Asked:
        """All audio up to the next command, or that command.

        Raises:
            ServiceError: one that `fail` was given.
        """
        while not self._items:
            self._filled.clear()
            await self._filled.wait()
        audio: list[Audio] = []
        while self._items and isinstance(self._items[0], Audio):
            audio.append(self._items.popleft())  # type: ignore[arg-type]
        if audio:
            self._samples = 0
            self._emptied.set()
            return audio
        item = self._items.popleft()
        if isinstance(item, ServiceError):
            raise item
        assert isinstance(item, Asked), "all audio was taken"
        return item


def joined(audio: list[Audio]) -> FloatArray:
    """The samples of all, one behind the other."""
    return audio[0].samples if len(audio) == 1 else np.concatenate([one.samples for one in audio])
