"""A server whose log, memory, open files and answers are watched."""

import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread

import httpx
from server_process import Process, connected, started, wait_for_readiness

SETTLE_S = 60  # for what was closed to be gone


@dataclass(frozen=True)
class Watched:
    """A running server, its client, and every line of its log so far."""

    running: Process
    client: httpx.Client
    log: list[str] = field(default_factory=list)

    def value(self, name: str) -> float:
        """Of a metric, named with its labels; 0 if it is not there."""
        text = self.client.get("/metrics").text
        found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
        return float(found[1]) if found else 0.0

    def resident_bytes(self) -> int:
        """Of the server and the processes that decode for it; what they share counts once."""
        return sum(map(_proportional_bytes, [self.running.pid, *descendants(self.running.pid)]))

    def open_files(self) -> int:
        """Of the server alone."""
        return len(os.listdir(f"/proc/{self.running.pid}/fd"))

    def threads(self) -> int:
        """Of the server alone."""
        return len(os.listdir(f"/proc/{self.running.pid}/task"))

    def faults(self) -> list[str]:
        """Lines of the log that nobody planned."""
        return [line for line in self.log if "Traceback" in line or " CRITICAL " in line]

    def settles(self, name: str, value: float) -> bool:
        """Whether a metric comes to a value."""
        return self.comes_true(lambda: self.value(name) == value)

    @staticmethod
    def comes_true(condition: Callable[[], bool]) -> bool:
        """Whether it does, before the patience ends."""
        ends_s = time.monotonic() + SETTLE_S
        while not condition():
            if time.monotonic() > ends_s:
                return False
            time.sleep(0.1)
        return True


@contextmanager
def watched(
    folder: Path, program: Sequence[str] = ("-m", "service", "run"), **settings: str
) -> Iterator[Watched]:
    """A server that is ready."""
    with started(program, folder, **settings) as running, connected(running) as client:
        server = Watched(running, client)
        reader = Thread(target=lambda: server.log.extend(running.stderr or ()))
        reader.start()
        wait_for_readiness(client, 200)
        try:
            yield server
        finally:
            running.kill()
            reader.join()


def descendants(pid: int) -> list[int]:
    """Processes that a process started, and those that they did."""
    try:
        direct = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except FileNotFoundError:
        return []
    return [one for child in map(int, direct) for one in (child, *descendants(child))]


def _proportional_bytes(pid: int) -> int:
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    found = re.search(r"^Pss: +(\d+) kB", rollup, re.MULTILINE)
    return int(found[1]) * 1024 if found else 0
