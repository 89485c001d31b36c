"""The server as a process of its own, on a real socket."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from threading import Thread

import httpx
from patience import PATIENCE_S

LOOK_S = 0.02  # between looks at a server that starts, which needs the core itself

Process = subprocess.Popen[str]


def process(
    folder: Path | str, command: str = "run", *files: Path, **settings: str
) -> AbstractContextManager[Process]:
    """A command of `wsm-serve` with this bundle; killed if it is still there at the end."""
    return started(["-m", "service", command, *map(str, files)], folder, **settings)


@contextmanager
def started(arguments: Sequence[str], folder: Path | str, **settings: str) -> Iterator[Process]:
    """Python with these arguments, and the settings of a server with this bundle."""
    usual = {"STT_PORT": "0", "STT_DEVICE": "cpu", "STT_DECODE_ISOLATION": "process"}
    environment = os.environ | usual | {"STT_BUNDLE": str(folder)}
    with subprocess.Popen(
        [sys.executable, *arguments],
        env=environment | settings,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        try:
            yield running
        finally:
            running.kill()


@contextmanager
def connected(server: Process) -> Iterator[httpx.Client]:
    """A client that opens a connection for each request."""
    url = f"http://127.0.0.1:{_port_of(server)}"
    limits = httpx.Limits(max_keepalive_connections=0)
    with httpx.Client(base_url=url, limits=limits, timeout=PATIENCE_S) as client:
        yield client


@contextmanager
def serving(folder: Path | str, **settings: str) -> Iterator[httpx.Client]:
    """A client of a server that is ready, and whose log is read so that it never blocks."""
    with process(folder, **settings) as server, connected(server) as client:
        wait_for_readiness(client, 200)
        log = Thread(target=lambda: list(server.stderr or ()))
        log.start()
        try:
            yield client
        finally:
            server.kill()
            log.join()


def wait_for_readiness(client: httpx.Client, status: int) -> None:
    """Ask until the server's readiness answers with this status."""
    while client.get("/health/ready").status_code != status:
        assert client.get("/health/live").status_code == 200
        time.sleep(LOOK_S)


def _port_of(server: Process) -> int:
    for line in server.stderr or ():
        if found := re.search(r"running on http://127\.0\.0\.1:(\d+)", line):
            return int(found[1])
    raise AssertionError(f"the server ended with {server.wait()}")
