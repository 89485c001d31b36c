"""Logits to words in threads, stretch by stretch, so that others have their turn between."""

import time
from collections.abc import Callable, Sequence

from service.arrays import FloatArray
from service.ctc import Word
from service.passes import InThread
from service.reading import Reading

Heard = Callable[[Sequence[Word]], None]


class Scribe:
    """Writes down what is said in one file.

    Attributes:
        words: so far.
        spent_s: on reading, waiting for a thread included.

    Args:
        reading: of the file.
        in_thread: runs what would block the event loop.
        heard: called on the event loop with each stretch's words, if there are any.
    """

    def __init__(self, reading: Reading, in_thread: InThread, heard: Heard | None) -> None:
        self.words: list[Word] = []
        self.spent_s = 0.0
        self._reading = reading
        self._in_thread = in_thread
        self._heard = heard

    async def begin(self, logits: FloatArray) -> None:
        """Read as far as the beginning `[frames, vocab]` of the logits allows."""
        await self._read(logits, False)

    async def finish(self, logits: FloatArray) -> None:
        """Read the rest of all logits `[frames, vocab]`."""
        await self._read(logits, True)

    async def _read(self, logits: FloatArray, is_last: bool) -> None:
        started_s = time.monotonic()
        stretches = self._reading.read(logits, is_last)
        while (words := await self._in_thread(next, stretches, None)) is not None:
            self.words += words
            if words and self._heard is not None:
                self._heard(words)
        self.spent_s += time.monotonic() - started_s
