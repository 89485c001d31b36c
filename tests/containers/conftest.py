"""The compose file, built and run by the engine that `docker` reaches."""

import os
import secrets
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).parents[2]
BUILD_S = 1200
SERVICES = {"STT_PORT": "stt", "PROMETHEUS_PORT": "prometheus", "GRAFANA_PORT": "grafana"}


@dataclass(frozen=True)
class Stack:
    """What `docker compose up` made.

    Attributes:
        environment: of every compose command.
        addresses: where each service listens on this machine.
    """

    environment: dict[str, str]
    addresses: dict[str, str]

    def compose(self, *arguments: str) -> str:
        """Run a compose command, and give what it prints."""
        command = ["docker", "compose", "-f", str(ROOT / "docker" / "compose.yaml"), *arguments]
        done = subprocess.run(
            command,
            env=os.environ | self.environment,
            capture_output=True,
            text=True,
            timeout=BUILD_S,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-4000:]
        return done.stdout


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The whole stack, up and well; its volumes go when the tests end."""
    reached = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)
    engine = subprocess.run(["docker", "info"], capture_output=True, check=False)
    if reached.returncode or engine.returncode:
        pytest.skip("no container engine with compose can be reached by `docker`")
    ports = {name: str(_free_port()) for name in SERVICES}
    environment = ports | {
        "COMPOSE_PROJECT_NAME": f"wsm-stt-test-{secrets.token_hex(4)}",
        "GRAFANA_PASSWORD": secrets.token_hex(8),
        "BUNDLES": str(tmp_path_factory.mktemp("bundles")),
    }
    addresses = {SERVICES[name]: f"http://127.0.0.1:{port}" for name, port in ports.items()}
    running = Stack(environment, addresses)
    try:
        running.compose("up", "--build", "--detach", "--wait")
        yield running
    finally:
        running.compose("down", "--volumes", "--timeout", "5")


@pytest.fixture
def client(stack: Stack) -> Iterator[httpx.Client]:
    """Of the service, through its published port."""
    stack.compose("up", "--detach", "--wait")
    with httpx.Client(base_url=stack.addresses["stt"], timeout=120) as opened:
        yield opened


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
