"""Ray in processes of its own: found by their parents, so that no other's are touched."""

import importlib.util
import os
import sys
import time
from pathlib import Path

import pytest
from patience import PATIENCE_S

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "ray"
LOOK_S = 0.05

needs_ray = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="needs Ray: pip install '.[ray]'"
)


def environment(**more: str) -> dict[str, str]:
    """Of a process that uses Ray and our modules; it reports nothing to anyone."""
    paths = [str(ROOT), str(FOLDER), os.environ.get("PYTHONPATH", "")]
    # `serve` and Ray's own processes are to be those of this interpreter.
    programs = [str(Path(sys.executable).parent), os.environ["PATH"]]
    ours = {
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "PATH": os.pathsep.join(programs),
        "RAY_USAGE_STATS_ENABLED": "0",
        "STT_DEVICE": "cpu",
    }
    return os.environ | ours | more


def below(pid: int, name: str) -> list[int]:
    """Descendants of a process whose command line begins so, oldest first."""
    parents = {int(path.name): _parent(path) for path in Path("/proc").glob("[0-9]*")}
    found = [child for child in sorted(parents) if pid in _ancestors(child, parents)]
    return [child for child in found if _command(child).startswith(name)]


def wait_until(holds, what: str) -> None:
    """Look again and again, for as long as a test waits."""
    give_up_s = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < give_up_s, f"waited {PATIENCE_S} s for {what}"
        time.sleep(LOOK_S)


def _ancestors(pid: int, parents: dict[int, int]) -> list[int]:
    line = []
    while (pid := parents.get(pid, 0)) > 0:
        line.append(pid)
    return line


def _parent(path: Path) -> int:
    try:
        return int((path / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""
