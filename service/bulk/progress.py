"""One line that tells how far a run is, on a terminal."""

import shutil
import time
from collections.abc import Callable
from typing import TextIO

from service.bulk.outcomes import Tally, clock

BAR_CHARACTERS = 24
REDRAW_S = 0.1
CLEAR = "\r\x1b[2K"


class ProgressLine:
    """Draws over itself; nothing where nobody looks.

    Args:
        terminal: None draws nothing.
        clock_s: current time in seconds.
    """

    def __init__(
        self, terminal: TextIO | None, clock_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._terminal = terminal
        self._clock_s = clock_s
        self._started_s = clock_s()
        self._drawn_s = float("-inf")

    def draw(self, tally: Tally) -> None:
        """Show how far it is, but not too often."""
        now_s = self._clock_s()
        if self._terminal is None or now_s - self._drawn_s < REDRAW_S:
            return
        self._drawn_s = now_s
        width = shutil.get_terminal_size().columns - 1
        self._terminal.write(CLEAR + line(tally, now_s - self._started_s)[:width])
        self._terminal.flush()

    def clear(self) -> None:
        """Leave the line to others."""
        if self._terminal is not None:
            self._terminal.write(CLEAR)
            self._terminal.flush()
            self._drawn_s = float("-inf")


def line(tally: Tally, elapsed_s: float) -> str:
    """The line, by bytes: how long files last is known only once they are done."""
    part = tally.seen_bytes / tally.size_bytes if tally.size_bytes else 1.0
    full = round(part * BAR_CHARACTERS)
    bar = "#" * full + "." * (BAR_CHARACTERS - full)
    told = [f"[{bar}] {part:4.0%}", f"{tally.ended}/{tally.files} files"]
    if tally.audio_s and elapsed_s:
        told.append(f"{tally.audio_s / elapsed_s:.0f}x")
    if 0 < part < 1 and tally.done:
        told.append(f"{clock(elapsed_s * (1 - part) / part)} left")
    if tally.failures:
        told.append(f"{len(tally.failures)} failed")
    return "  ".join(told)
