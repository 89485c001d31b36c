"""Servers under test: each a group of processes of its own, stopped while another is measured."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tests.benchmarks import options
from tests.benchmarks.clients import Load, Report

STARTUP_S = 180.0
SHUTDOWN_S = 5.0
POLL_S = 0.1
LOG_TAIL = 2000


@dataclass(frozen=True)
class Server:
    """A server that answered once and sleeps until it is woken.

    Attributes:
        url: scheme, host and port.
        path: where clips are posted.
        process: leader of its process group.
    """

    url: str
    path: str
    process: "subprocess.Popen[bytes]"

    @contextmanager
    def awake(self) -> Iterator[str]:
        """Let it run; what polls while idle would take the cores from whoever is measured."""
        os.killpg(self.process.pid, signal.SIGCONT)
        try:
            yield self.url + self.path
        finally:
            os.killpg(self.process.pid, signal.SIGSTOP)

    def under(self, load: Load) -> Report:
        """Wake it, and measure it under a load."""
        with self.awake() as url:
            return load.run(url)

    def metrics(self) -> dict[str, float]:
        """Every sample of `/metrics`, by name with labels; it must be awake."""
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=STARTUP_S) as answer:
            families = list(text_string_to_metric_families(answer.read().decode()))
        return {
            sample.name + "".join(f",{key}={value}" for key, value in sample.labels.items()): (
                sample.value
            )
            for family in families
            for sample in family.samples
        }


@contextmanager
def our_server(bundle: Path, **settings: str) -> Iterator[Server]:
    """The service with its defaults and these settings."""
    environment = {"STT_BUNDLE": str(bundle), "STT_DEVICE": "cpu", "STT_LOG_LEVEL": "warning"}
    command = [sys.executable, "-m", "service", "run"]
    with _server(command, "STT_PORT", "/transcribe", "/health/ready", environment | settings) as it:
        yield it


@contextmanager
def peer_server(module: str, *arguments: str, path: str, ready: str) -> Iterator[Server]:
    """A server of `tests.benchmarks.peers`, which takes its port from `PEER_PORT`."""
    command = [sys.executable, "-m", f"tests.benchmarks.peers.{module}", *arguments]
    with _server(command, "PEER_PORT", path, ready, {}) as it:
        yield it


@contextmanager
def _server(
    command: list[str], port_variable: str, path: str, ready: str, environment: dict[str, str]
) -> Iterator[Server]:
    port = _free_port()
    log = options.CACHE / "logs" / f"{port}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with (
        log.open("wb") as output,
        subprocess.Popen(
            command,
            cwd=options.ROOT,
            env=os.environ | {port_variable: str(port)} | environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as process,
    ):
        server = Server(f"http://127.0.0.1:{port}", path, process)
        try:
            _wait_until_ready(server, ready, log)
            os.killpg(process.pid, signal.SIGSTOP)
            yield server
        finally:
            _stop(process)


def _stop(process: "subprocess.Popen[bytes]") -> None:
    """Ask politely first: servers of several processes have temporary files to remove."""
    os.killpg(process.pid, signal.SIGTERM)
    os.killpg(process.pid, signal.SIGCONT)
    with suppress(subprocess.TimeoutExpired):
        process.wait(SHUTDOWN_S)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _wait_until_ready(server: Server, ready: str, log: Path) -> None:
    give_up_s = time.monotonic() + STARTUP_S
    while time.monotonic() < give_up_s and server.process.poll() is None:
        try:
            with urllib.request.urlopen(server.url + ready, timeout=STARTUP_S):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(POLL_S)
    tail = log.read_text(errors="replace")[-LOG_TAIL:]
    raise AssertionError(f"{' '.join(server.process.args)} does not start:\n{tail}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
