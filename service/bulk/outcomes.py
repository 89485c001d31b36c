"""What becomes of files, and of the whole run."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path

from service.schemas import TranscriptionBody

Recognise = Callable[[Path], Awaitable[TranscriptionBody]]


class ExitCode(IntEnum):
    """What the command ends with."""

    DONE = 0
    SOME_FAILED = 1
    USAGE = 2
    INTERRUPTED = 130


class FileFailed(Exception):
    """This file cannot be transcribed; others may be.

    Args:
        message: what is wrong.
        code: stable name of the error; None if the file cannot be read.
    """

    def __init__(self, message: str, code: str | None = None) -> None:
        super().__init__(message if code is None else f"{message} [{code}]")


class NothingGoes(Exception):
    """No file can be transcribed: the model, or the server, or what is asked of it is at fault.

    Args:
        message: what is wrong.
        exit_code: that the command ends with.
    """

    def __init__(self, message: str, exit_code: ExitCode = ExitCode.SOME_FAILED) -> None:
        super().__init__(message)
        self.exit_code = exit_code


@dataclass
class Tally:
    """How far a run is.

    Attributes:
        files: that there are.
        size_bytes: of all files.
        skipped: complete before.
        done: transcribed now.
        failures: what is wrong, by file.
        seen_bytes: of the files that are done, skipped or failed.
        audio_s: seconds of audio that were transcribed.
    """

    files: int
    size_bytes: int
    skipped: int = 0
    done: int = 0
    failures: dict[Path, str] = field(default_factory=dict)
    seen_bytes: int = 0
    audio_s: float = 0.0

    @property
    def ended(self) -> int:
        """Files of which it is known what became of them."""
        return self.skipped + self.done + len(self.failures)

    def summary(self, elapsed_s: float) -> str:
        """Lines: what was done, and each failure with its reason."""
        parts = [f"{self.done} of {self.files} files transcribed"]
        if self.audio_s:
            speed = self.audio_s / max(elapsed_s, 1e-3)
            parts[0] += f", {clock(self.audio_s)} of audio in {clock(elapsed_s)} ({speed:.0f}x)"
        if self.skipped:
            parts.append(f"{self.skipped} were there already")
        if self.failures:
            parts.append(f"{len(self.failures)} failed:")
        lines = ["; ".join(parts)]
        lines += [f"  {path}: {reason}" for path, reason in sorted(self.failures.items())]
        return "\n".join(lines)


def clock(seconds: float) -> str:
    """`1:02:03`."""
    whole = int(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"
