"""Ray in processes of its own: found by their parents, so that no other's are touched."""

import fcntl
import importlib.util
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from patience import PATIENCE_S

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "ray"
LOOK_S = 0.05
STARTS = 5
LAST_LINES = 60
LOOKED = "GET /targets"  # by the tests themselves, again and again

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
        # Else Serve kills a proxy that takes 15 s to start, and `serve run` ends with it.
        "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": str(PATIENCE_S),
        "RAY_SERVE_PROXY_HEALTH_CHECK_TIMEOUT_S": str(PATIENCE_S),
        "RAY_worker_register_timeout_seconds": str(PATIENCE_S),
        "STT_DEVICE": "cpu",
    }
    return os.environ | ours | more


@dataclass(frozen=True)
class Driver:
    """A process with a Ray of its own.

    Args:
        process: with all of Ray's processes below it.
        log: what it and Ray say, without what went to a pipe.
    """

    process: subprocess.Popen
    log: Path

    def wait_until(self, holds: Callable[[], bool], what: str, look_s: float = LOOK_S) -> None:
        """Look again and again while the process runs; a failure shows the end of its log."""
        with self._explained():
            wait_until(partial(self._holds, holds, what), what, look_s)

    def begins(self, sign: str) -> bool:
        """Whether the log shows a sign before the process ends."""
        with self._explained():
            wait_until(lambda: self._says(sign) or self.process.poll() is not None, repr(sign))
        return self._says(sign)

    def _holds(self, holds: Callable[[], bool], what: str) -> bool:
        ended = self.process.poll()
        assert ended is None, f"ended with {ended} before {what}"
        return holds()

    def _says(self, sign: str) -> bool:
        return sign in self.log.read_text()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except AssertionError as error:
            lines = [line for line in self.log.read_text().splitlines() if LOOKED not in line]
            error.add_note("\n".join([f"the end of {self.log}:", *lines[-LAST_LINES:]]))
            raise


@contextmanager
def driver(command: list, log: Path, sign: str, stdout: int | None = None) -> Iterator[Driver]:
    """A process, once its log shows the sign that its Ray runs; killed in the end.

    On a busy machine Ray gives up: after 15 s without its agent, 30 s without its node or 60 s
    without a proxy, none of which can be set. So there is one Ray at a time, and it gets some
    starts; the process of the last one has ended if they were in vain.
    """
    with alone(), log.open("wb") as file, ExitStack() as stack:
        for _ in range(STARTS):
            process = subprocess.Popen(
                list(map(str, command)),
                env=environment(),
                stdout=stdout or file,
                stderr=file,
                text=True,
            )
            stack.enter_context(process)
            stack.callback(process.kill)
            started = Driver(process, log)
            if started.begins(sign):
                break
        yield started


@contextmanager
def alone() -> Iterator[None]:
    """Wait for other processes' tests with Ray; two on a few cores would slow each other down."""
    path = Path(tempfile.gettempdir()) / f"ray-tests-of-{os.getuid()}"
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def below(pid: int, name: str) -> list[int]:
    """Descendants of a process whose command line begins so, oldest first."""
    parents = {int(path.name): _parent(path) for path in Path("/proc").glob("[0-9]*")}
    found = [child for child in sorted(parents) if pid in _ancestors(child, parents)]
    return [child for child in found if _command(child).startswith(name)]


def wait_until(holds, what: str, look_s: float = LOOK_S) -> None:
    """Look again and again, for as long as a test waits."""
    give_up_s = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < give_up_s, f"waited {PATIENCE_S} s for {what}"
        time.sleep(look_s)


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
