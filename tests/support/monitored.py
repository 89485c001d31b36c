"""A real Prometheus that scrapes a real server, with the rules that compose mounts."""

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import yaml
from patience import PATIENCE_S

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "docker" / "prometheus"
DASHBOARD = ROOT / "docker" / "grafana" / "dashboards" / "wsm-stt.json"
RATE_INTERVAL = "60s"  # in place of Grafana's variable


@dataclass(frozen=True)
class Prometheus:
    """Asks a running Prometheus."""

    client: httpx.Client

    def query(self, expression: str, at_s: float | None = None) -> list[dict[str, object]]:
        """What an expression gives now, or gave at a time since the epoch."""
        return self._ask("query", query=expression, **({} if at_s is None else {"time": at_s}))

    def query_range(
        self, expression: str, start_s: float, end_s: float, step_s: float
    ) -> list[dict[str, object]]:
        """What an expression gave, from start to end."""
        return self._ask(
            "query_range", query=expression, start=start_s, end=end_s, step=f"{step_s}s"
        )

    def _ask(self, kind: str, **parameters: str | float) -> list[dict[str, object]]:
        answer = self.client.get(f"/api/v1/{kind}", params=parameters).json()
        assert answer["status"] == "success", (answer, parameters)
        result: list[dict[str, object]] = answer["data"]["result"]
        return result


def panels() -> list[dict[str, object]]:
    """The dashboard's panels that ask something."""
    found = json.loads(DASHBOARD.read_text())["panels"]
    return [panel for panel in found if panel["type"] != "row"]


def substituted(expression: str) -> str:
    """A panel's query as Grafana sends it, with everything selected."""
    values = {"$job": ".*", "$instance": ".*", "$__rate_interval": RATE_INTERVAL}
    for name, value in values.items():
        expression = expression.replace(name, value)
    assert "$" not in expression
    return expression


def promtool(*arguments: str | Path, given: str | None = None) -> None:
    """Run promtool; skip where it is not installed."""
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed; on Debian: apt install prometheus")
    done = subprocess.run(
        ["promtool", *map(str, arguments)], input=given, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@contextmanager
def prometheus(folder: Path, target: str) -> Iterator[Prometheus]:
    """A Prometheus that scrapes this host and port every second."""
    if shutil.which("prometheus") is None:
        pytest.skip("prometheus is not installed; on Debian: apt install prometheus")
    config = yaml.safe_load((CONFIG / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["scrape_configs"][0]["static_configs"] = [{"targets": [target]}]
    config["rule_files"] = [str(CONFIG / pattern) for pattern in config["rule_files"]]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    address = f"127.0.0.1:{_free_port()}"
    command = [
        "prometheus",
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={address}",
    ]
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen(command, stdout=log, stderr=log) as started,
        httpx.Client(base_url=f"http://{address}", timeout=PATIENCE_S) as client,
    ):
        try:
            _wait_for_targets(client)
            yield Prometheus(client)
        finally:
            started.kill()


def _wait_for_targets(client: httpx.Client) -> None:
    ends_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < ends_s:
        try:
            up = client.get("/api/v1/query", params={"query": "up == 1"})
            if up.is_success and up.json()["data"]["result"]:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise AssertionError("Prometheus reached no target")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
