"""Ray Serve on this machine, with the shipped configuration but for ports and replicas."""

import random
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import httpx
import yaml
from patience import PATIENCE_S
from ray_processes import FOLDER, Driver, driver

# `serve`, but without Ray's dashboard, whose ten processes start when the others do.
SERVE = """
import ray
from ray.serve.scripts import cli
ray.init("local", namespace="serve", include_dashboard=False)
cli()
"""
LOOK_S = 0.5  # a look costs every replica something
PORTS = range(20_000, 60_000)  # Ray's own fixed ones lie below


def free_ports(count: int) -> int:
    """The first of so many ports in a row that nobody has, nor is given without asking for it."""
    given = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()
    lowest, highest = map(int, given)
    firsts = list(PORTS[::count])
    random.shuffle(firsts)  # others may look for some at the same time
    firsts.sort(key=lambda first: first + count > lowest and first <= highest)
    return next(first for first in firsts if all(map(is_free, range(first, first + count))))


def is_free(port: int) -> bool:
    """Whether nobody listens on a port, on any of the machine's addresses."""
    with socket.socket() as probe:
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True


def configuration(path: Path, replicas: int) -> int:
    """Write the shipped file with other ports and a number of replicas that stays; its port."""
    config = yaml.safe_load((FOLDER / "serve.yaml").read_text())
    first = config["applications"][0]
    port = free_ports(1 + first["args"]["metrics_ports"])
    config["http_options"]["port"] = port
    for application in config["applications"]:
        application["args"]["first_metrics_port"] = port + 1
    sizes = {"min_replicas": replicas, "max_replicas": replicas}
    first["deployments"][0]["autoscaling_config"] |= sizes
    path.write_text(yaml.safe_dump(config))
    return port


@contextmanager
def serving(folder: Path, replicas: int = 2) -> Iterator[SimpleNamespace]:
    """Serve with so many replicas, ready: its process, a client, its port, and how to wait."""
    port = configuration(folder / "serve.yaml", replicas)
    command = [sys.executable, "-c", SERVE, "run", folder / "serve.yaml"]
    with (
        driver(command, folder / "log", "Started Serve in namespace") as serve,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE_S) as client,
    ):
        wait = partial(wait_until, serve, client)
        try:
            wait(lambda: len(ready(client)) == replicas, f"{replicas} replicas")
            yield SimpleNamespace(process=serve.process, client=client, port=port, wait_until=wait)
        finally:
            serve.process.send_signal(signal.SIGTERM)
            serve.process.wait(PATIENCE_S)


def wait_until(serve: Driver, client: httpx.Client, holds: Callable[[], bool], what: str) -> None:
    """Look again and again while Serve runs; a failure shows the targets and the log's end."""
    try:
        serve.wait_until(holds, what, LOOK_S)
    except AssertionError as error:
        error.add_note(f"targets: {targets(client)}")
        raise


def targets(client: httpx.Client) -> list[str]:
    """Addresses of the replicas' metrics; none while Serve starts."""
    try:
        answer = client.get("/targets")
    except httpx.TransportError:
        return []
    return answer.json()[0]["targets"] if answer.status_code == 200 else []


def ready(client: httpx.Client) -> list[str]:
    """Those of the replicas that take requests."""
    return [target for target in targets(client) if "\nstt_ready 1.0" in scrape(target)]


def scrape(target: str) -> str:
    """Metrics of a replica."""
    return httpx.get(f"http://{target}/metrics", timeout=PATIENCE_S).text
