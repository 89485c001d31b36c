"""Debian packages, fetched and unpacked without root; nothing is installed."""

import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from model_export.errors import CorpusUnavailable


def unpack(packages: Iterable[str], folder: Path) -> None:
    """Fetch packages and unpack them into one folder; what lies there already is not fetched again.

    Raises:
        CorpusUnavailable: this is no Debian, or a package cannot be fetched or unpacked.
    """
    fetched = folder / "packages"
    fetched.mkdir(parents=True, exist_ok=True)
    for package in packages:
        done = fetched / f"{package}.unpacked"
        if not done.exists():
            _unpack(package, fetched, folder)
            done.touch()


def _unpack(package: str, fetched: Path, folder: Path) -> None:
    for program in ("apt-get", "dpkg"):
        if shutil.which(program) is None:
            raise CorpusUnavailable(
                f"{program} is not here; unpack the Debian package {package} into {folder}, and "
                f"make the file {fetched / package}.unpacked"
            )
    _run(["apt-get", "download", package], fetched)
    (archive,) = fetched.glob(f"{package}_*.deb")
    _run(["dpkg", "-x", archive.name, str(folder.resolve())], fetched)
    archive.unlink()


def _run(command: list[str], folder: Path) -> None:
    outcome = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if outcome.returncode:
        said = outcome.stderr.strip().splitlines() or ["nothing"]
        raise CorpusUnavailable(f"{' '.join(command)} failed: {said[-1]}")
