"""Ray Serve with two replicas: killed, measured, scaled and stopped, by way of real sockets."""

import asyncio
import importlib
import os
import re
import signal
import socket
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
import yaml
from prometheus_client import CollectorRegistry, start_http_server
from ray_processes import FOLDER, below, needs_ray
from ray_serving import free_ports, ready, scrape, serving, targets
from recordings import cer, recordings
from socket_client import of_type, pcm, streaming

from service.config import Settings
from service.lanes import Lane
from service.metrics import Metrics

pytestmark = needs_ray

REPLICA = "ray::ServeReplica:speech"
CLIENTS = 4
CONFIG = yaml.safe_load((FOLDER / "serve.yaml").read_text())


@pytest.fixture(scope="module")
def module():
    """deploy/ray/serving.py, as Serve imports it."""
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        patch.syspath_prepend(FOLDER)
        warnings.simplefilter("ignore")  # Ray's own
        return importlib.import_module("serving")


def counted(target):
    wanted = 'stt_requests_total{endpoint="/transcribe",status="200"} '
    found = [line for line in scrape(target).splitlines() if line.startswith(wanted)]
    return float(found[0].rpartition(" ")[2]) if found else 0.0


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("serve")) as cluster:
        yield cluster


def ask(client, recording):
    """Statuses and the text, asked again as long as the answer is a server's error."""
    statuses = []
    while True:
        file = {"file": recording.path.read_bytes()}
        answer = client.post("/transcribe", files=file)
        statuses.append(answer.status_code)
        if answer.status_code == 200:
            return statuses, answer.json()["text"]
        assert answer.status_code in (500, 503), answer.text
        time.sleep(0.2)  # as a client should


def test_each_replica_is_a_target_that_counts_what_it_answered(cluster):
    client, found = cluster.client, targets(cluster.client)
    before = sum(map(counted, found))
    with ThreadPoolExecutor(CLIENTS) as pool:
        answers = list(pool.map(lambda one: ask(client, one), recordings() * 2))
    assert all(statuses == [200] for statuses, _ in answers)
    assert sum(map(counted, found)) - before == len(answers)
    assert all(counted(target) > 0 for target in found)


async def test_a_stream_stays_with_one_replica_and_is_counted_there(cluster):
    clip, other = recordings()[:2]
    async with streaming(cluster.client) as first, streaming(cluster.client) as second:
        for client, recording in ((first, clip), (second, other)):
            await client.begin()
            await client.send(pcm(recording.waveform()))
        found = await asyncio.to_thread(targets, cluster.client)
        assert sum([active(await asyncio.to_thread(scrape, one)) for one in found]) == 2
        for client, recording in ((first, clip), (second, other)):
            await client.say("stop")
            finals = of_type(await client.rest(), "final")
            text = " ".join(final["text"] for final in finals)
            assert cer(recording.text, text) < 0.4
            assert client.close_code == 1000


def active(text):
    return float(re.search(r"^stt_active_streams (\S+)$", text, re.MULTILINE)[1])


def test_jobs_are_not_offered_where_no_replica_has_an_address(cluster):
    file = {"file": recordings()[0].path.read_bytes()}
    assert cluster.client.post("/jobs", files=file).status_code == 404


def test_a_killed_replica_costs_only_the_requests_inside_it_and_is_replaced(cluster):
    client = cluster.client
    expected = {one.path: ask(client, one)[1] for one in recordings()}
    replicas = below(cluster.process.pid, REPLICA)
    wanted = recordings() * 12
    with ThreadPoolExecutor(CLIENTS) as pool:
        pending = [pool.submit(ask, client, one) for one in wanted]
        cluster.wait_until(
            lambda: sum(one.done() for one in pending) >= len(wanted) // 4, "some answers"
        )
        os.kill(replicas[0], signal.SIGKILL)
        answers = [one.result() for one in pending]
    assert [text for _, text in answers] == [expected[one.path] for one in wanted]
    errors = [status for statuses, _ in answers for status in statuses[:-1]]
    assert len(errors) <= CLIENTS
    cluster.wait_until(lambda: len(below(cluster.process.pid, REPLICA)) == 2, "another replica")
    cluster.wait_until(lambda: len(ready(client)) == 2, "its metrics")


@pytest.fixture
def ports(module, monkeypatch):
    """Those that `Targets` looks at, on this machine."""
    node = {"NodeManagerAddress": "127.0.0.1", "Alive": True}
    monkeypatch.setattr(module.ray, "nodes", lambda: [node])
    return module.Ports(first_metrics_port=free_ports(4), metrics_ports=4)


@contextmanager
def metrics_on(port, registry):
    server, thread = start_http_server(port, "127.0.0.1", registry=registry)
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


async def test_only_what_tells_our_metrics_is_a_target(module, ports):
    foreign, ours, hanging_up, _ = ports.all()

    async def hang_up(_, writer):
        writer.close()

    with (
        metrics_on(foreign, CollectorRegistry()),
        metrics_on(ours, Metrics(CollectorRegistry()).registry),
    ):
        async with await asyncio.start_server(hang_up, "127.0.0.1", hanging_up):
            found = await module.Targets.func_or_class(ports)()
    assert found == [{"targets": [f"127.0.0.1:{ours}"]}]


async def test_a_listener_that_says_nothing_is_not_waited_for(module, ports, monkeypatch):
    monkeypatch.setattr(module, "ANSWER_S", 0.1)
    with socket.create_server(("127.0.0.1", ports.first_metrics_port)):
        assert await module.Targets.func_or_class(ports)() == [{"targets": []}]


def test_the_file_and_the_code_agree(module):
    speech, targets_application = CONFIG["applications"]
    assert speech["args"] == targets_application["args"]
    known = {f"STT_{name.upper()}" for name in Settings.model_fields}
    assert set(speech["runtime_env"]["env_vars"]) <= known
    # It would end streams, too: Serve's proxy counts the whole life of a WebSocket.
    assert "request_timeout_s" not in CONFIG["http_options"]
    policy = speech["deployments"][0]["autoscaling_config"]["policy"]
    assert policy["policy_function"] == f"serving:{module.Demand.__name__}"
    module.Demand(**policy["policy_kwargs"])


def test_replicas_follow_waiting_audio_and_open_streams(module):
    demand = module.Demand(target_s=50, bulk_target_s=2000, target_streams=5)

    def wanted(**signals):
        found = {name: dict(enumerate(values)) for name, values in signals.items()}
        return demand(SimpleNamespace(aggregated_metrics=found))[0]

    assert wanted() == 1
    assert wanted(streams=[5, 5]) == 2
    assert wanted(streams=[8, 8], waiting_s=[10.0, 0.0]) == 4
    assert wanted(streams=[1, 0], waiting_s=[200.0, 0.0]) == 4
    assert wanted(streams=[1, 0], waiting_bulk_s=[3000.0, 3000.0]) == 3


async def test_what_a_replica_tells_is_what_the_policy_asks_for(module):
    metrics = Metrics(CollectorRegistry())
    replica = SimpleNamespace(_service=SimpleNamespace(metrics=metrics))
    tell = module.Speech.func_or_class.record_autoscaling_stats
    assert await tell(replica) == {"waiting_s": 0, "waiting_bulk_s": 0, "streams": 0}
    metrics.active_streams.set(7)
    for lane, waiting_s in ((Lane.LIVE, 1.0), (Lane.INTERACTIVE, 2.0), (Lane.BULK, 30.0)):
        metrics.queue_audio_seconds.labels(lane).set(waiting_s)
    told = await tell(replica)
    assert told == {"waiting_s": 3, "waiting_bulk_s": 30, "streams": 7}
    assert module.Demand(1, 1, 1)._targets.keys() == told.keys()
