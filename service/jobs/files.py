"""The files of jobs that have not ended, and of uploads on their way."""

import os
from collections.abc import Collection
from pathlib import Path
from typing import IO

from service.uploads import SPOOL_BYTES


class JobFiles:
    """A folder of files named by their jobs; every method may raise OSError.

    Args:
        folder: made if it is not there.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(mode=0o700, exist_ok=True)

    def path(self, job_id: str) -> Path:
        """Where the file of an accepted job lies."""
        return self._folder / job_id

    def create_part(self, job_id: str) -> IO[bytes]:
        """A new file for an upload on its way; `keep` or `discard_part` ends it."""
        return open(self._part(job_id), "xb", SPOOL_BYTES, opener=_open_private)

    def keep(self, job_id: str) -> int:
        """Give a complete and synced upload its final name, safely; returns its size in bytes."""
        path = self._part(job_id).rename(self.path(job_id))
        _sync_folder(self._folder)
        return path.stat().st_size

    def discard_part(self, job_id: str) -> None:
        """Delete what came of an upload; nothing for one that was kept."""
        self._part(job_id).unlink(missing_ok=True)

    def remove(self, job_id: str) -> None:
        """Delete the file of a job that has ended."""
        self.path(job_id).unlink(missing_ok=True)

    def remove_others(self, job_ids: Collection[str]) -> None:
        """Delete what a crash left: everything but the files of these jobs."""
        for path in self._folder.iterdir():
            if path.name not in job_ids:
                path.unlink()

    def _part(self, job_id: str) -> Path:
        return self._folder / f"{job_id}.part"


def sync(file: IO[bytes]) -> None:
    """Wait until a file's content is safe on disk."""
    file.flush()
    os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags, mode=0o600)
