"""The service on Ray Serve: each replica is the whole application with a model of its own.

PYTHONPATH=deploy/ray serve run deploy/ray/serve.yaml
"""

import asyncio
import logging
import math
from typing import Any

import ray
from fastapi import FastAPI
from prometheus_client import CollectorRegistry, start_http_server
from pydantic import BaseModel
from ray import serve
from ray.serve import Application
from ray.serve.config import AutoscalingContext

from service.app import create_app
from service.config import load_settings
from service.lanes import Lane
from service.lifecycle import LAST_ANSWERS_S, State
from service.logs import configure_logging

logger = logging.getLogger(__name__)

EXIT_S = 2.0  # for what is closed after the last answer
LOOK_S = 0.05
ANSWER_S = 5.0  # a replica that loads its model answers late
MAX_METRICS_BYTES = 2**20
OURS = b"\nstt_ready "


class Ports(BaseModel):
    """Where replicas offer their metrics: the first of these ports that is free on the node."""

    first_metrics_port: int = 9400
    metrics_ports: int = 16

    def all(self) -> range:
        """Every port that may be taken."""
        return range(self.first_metrics_port, self.first_metrics_port + self.metrics_ports)


class Demand:
    """As many replicas as waiting audio and open streams need; the same signals as on Kubernetes.

    Args:
        target_s: waiting seconds of audio that one replica is enough for.
        bulk_target_s: the same for long files, which may wait for longer.
        target_streams: open streams that one replica is enough for.
    """

    def __init__(self, target_s: float, bulk_target_s: float, target_streams: float) -> None:
        self._targets = {
            "waiting_s": target_s,
            "waiting_bulk_s": bulk_target_s,
            "streams": target_streams,
        }

    def __call__(self, context: AutoscalingContext) -> tuple[int, dict[str, Any]]:
        """The number wanted; Serve applies its delays and bounds to it."""
        found = context.aggregated_metrics or {}
        wanted = [
            math.ceil(sum(found.get(name, {}).values()) / target)
            for name, target in self._targets.items()
        ]
        return max(1, *wanted), {}


@serve.deployment
@serve.ingress()
class Speech:
    """One replica.

    Args:
        ports: for its metrics; Serve's own address reaches any one replica.
    """

    async def __init__(self, ports: Ports) -> None:
        # Serve listens, where its own options say, so ours tells nothing of who can reach us.
        self._settings = load_settings().model_copy(update={"host": "0.0.0.0"})
        configure_logging(self._settings.log_level, self._settings.log_format)
        self._application = create_app(self._settings, with_jobs=False)
        self._service = self._application.state.service
        offer_metrics(self._service.metrics.registry, ports)

    def __serve_build_asgi_app__(self) -> FastAPI:
        """The application, whose lifespan Serve then runs: it loads the model and drains."""
        return self._application

    async def check_health(self) -> None:
        """Fail if only a restart helps; Serve asks for the first time before it sends requests."""
        while self._service.state is State.LOADING:  # noqa: ASYNC110  nobody tells of its end
            await asyncio.sleep(LOOK_S)
        if self._service.state is State.FAILED:
            raise RuntimeError(State.FAILED.value)
        self._service.check_alive()

    async def record_autoscaling_stats(self) -> dict[str, float]:
        """Seconds of audio that wait here, and streams that are open."""
        metrics = self._service.metrics
        (waiting,) = metrics.queue_audio_seconds.collect()
        (streams,) = metrics.active_streams.collect()
        by_lane = {sample.labels["lane"]: sample.value for sample in waiting.samples}
        bulk_s = by_lane.pop(Lane.BULK, 0.0)  # without a value until the model is loaded
        return {
            "waiting_s": sum(by_lane.values()),
            "waiting_bulk_s": bulk_s,
            "streams": streams.samples[0].value,
        }


@serve.deployment(ray_actor_options={"num_cpus": 0})
class Targets:
    """Tells Prometheus where the replicas' metrics are, by its HTTP service discovery.

    Nothing is kept: what tells our metrics on one of the ports is a target, so neither deaths nor
    restarts leave anything stale, and what others serve there is none.
    """

    def __init__(self, ports: Ports) -> None:
        self._ports = ports

    async def __call__(self) -> list[dict[str, list[str]]]:
        """The ports where replicas' metrics are found within `ANSWER_S`, on all nodes."""
        nodes = {node["NodeManagerAddress"] for node in ray.nodes() if node["Alive"]}
        places = [(node, port) for node in nodes for port in self._ports.all()]
        ours = await asyncio.gather(*(_is_replica(node, port) for node, port in places))
        found = [f"{node}:{port}" for (node, port), yes in zip(places, ours, strict=True) if yes]
        return [{"targets": sorted(found)}]


async def _is_replica(node: str, port: int) -> bool:
    try:
        async with asyncio.timeout(ANSWER_S):
            await _find_ours(node, port)
    # Refused, reset or TimeoutError; ended, or a megabyte, without them.
    except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        return False
    return True


async def _find_ours(node: str, port: int) -> None:
    """Read metrics until ours begin."""
    reader, writer = await asyncio.open_connection(node, port, limit=MAX_METRICS_BYTES)
    try:
        writer.write(b"GET /metrics HTTP/1.0\r\n\r\n")
        await reader.readuntil(OURS)
    finally:
        writer.close()


def offer_metrics(registry: CollectorRegistry, ports: Ports) -> None:
    """Serve one registry on the first port that is free.

    Raises:
        RuntimeError: none is.
    """
    for port in ports.all():
        try:
            start_http_server(port, registry=registry)
        except OSError:
            continue
        logger.info("metrics on port %d", port)
        return
    raise RuntimeError(f"no port of {ports.all()} is free for metrics")


def speech(ports: Ports) -> Application:
    """The recogniser; everything not named here is in the configuration file."""
    settings = load_settings()
    threads = (settings.threads or 1) * (settings.sessions or 1)
    return Speech.options(
        ray_actor_options={"num_cpus": threads},
        max_ongoing_requests=settings.max_requests + settings.max_streams,  # ours refuses first
        graceful_shutdown_timeout_s=settings.shutdown_grace_s + LAST_ANSWERS_S + EXIT_S,
    ).bind(ports)


def targets(ports: Ports) -> Application:
    """Where the metrics are."""
    return Targets.bind(ports)
