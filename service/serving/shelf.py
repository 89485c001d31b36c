"""A folder whose subfolders are bundles, as it is seen at one time."""

import os
from dataclasses import dataclass
from pathlib import Path

from service.bundle import MANIFEST_FILE

State = tuple[tuple[str, int, int, int], ...]


@dataclass(frozen=True)
class Shelf:
    """Where bundles lie.

    Attributes:
        default: folder of the bundle that is always served.
        others: a folder whose subfolders are bundles; names that begin with a dot are left out.
    """

    default: Path
    others: Path | None

    def look(self) -> dict[Path, State]:
        """What every bundle's folder holds: names, sizes, times and inodes of its files.

        A folder without a manifest is none yet, or none any more; so is one that cannot be read.
        """
        folders = [self.default, *_subfolders(self.others)]
        states = {folder: _state(folder) for folder in folders}
        return {folder: state for folder, state in states.items() if state}


def _subfolders(folder: Path | None) -> list[Path]:
    if folder is None:
        return []
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError:
        return []


def _state(folder: Path) -> State:
    try:
        with os.scandir(folder) as entries:
            files = [(entry.name, entry.stat()) for entry in entries]
    except OSError:
        return ()
    state = sorted((name, stat.st_size, stat.st_mtime_ns, stat.st_ino) for name, stat in files)
    return tuple(state) if any(name == MANIFEST_FILE for name, *_ in state) else ()
