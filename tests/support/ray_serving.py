"""Ray Serve on this machine, with the shipped configuration but for ports and replicas."""

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import httpx
import yaml
from patience import PATIENCE_S
from ray_processes import FOLDER, environment, wait_until


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def configuration(path: Path, replicas: int) -> int:
    """Write the shipped file with other ports and a number of replicas that stays; its port."""
    config = yaml.safe_load((FOLDER / "serve.yaml").read_text())
    config["http_options"]["port"] = free_port()
    for application in config["applications"]:
        application["args"]["first_metrics_port"] = free_port()
    first = config["applications"][0]
    config["applications"][1]["args"] = first["args"]
    sizes = {"min_replicas": replicas, "max_replicas": replicas}
    first["deployments"][0]["autoscaling_config"] |= sizes
    path.write_text(yaml.safe_dump(config))
    port: int = config["http_options"]["port"]
    return port


@contextmanager
def serving(folder: Path, replicas: int = 2) -> Iterator[SimpleNamespace]:
    """Serve with so many replicas, ready: its process, a client and its port."""
    port = configuration(folder / "serve.yaml", replicas)
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen(
            [sys.executable, "-m", "ray.serve.scripts", "run", str(folder / "serve.yaml")],
            env=environment(),
            stdout=log,
            stderr=log,
        ) as process,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE_S) as client,
    ):
        try:
            wait_until(lambda: len(targets(client)) == replicas, f"{replicas} replicas")
            wait_until(lambda: is_ready(client), "the first answer")
            yield SimpleNamespace(process=process, client=client, port=port)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(PATIENCE_S)


def targets(client: httpx.Client) -> list[str]:
    """Addresses of the replicas' metrics; none while Serve starts."""
    try:
        answer = client.get("/targets")
    except httpx.TransportError:
        return []
    return answer.json()[0]["targets"] if answer.status_code == 200 else []


def is_ready(client: httpx.Client) -> bool:
    """Whether every replica can take requests."""
    return all("\nstt_ready 1.0" in scrape(target) for target in targets(client))


def scrape(target: str) -> str:
    """Metrics of a replica."""
    return httpx.get(f"http://{target}/metrics").text
