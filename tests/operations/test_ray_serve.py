"""Ray Serve with two replicas: killed, measured, scaled and stopped, by way of real sockets."""

import os
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import SimpleNamespace

import httpx
import pytest
import yaml
from ray_processes import FOLDER, PATIENCE_S, below, environment, needs_ray, wait_until
from recordings import recordings

from service.config import Settings

pytestmark = needs_ray

REPLICA = "ray::ServeReplica:speech"
CLIENTS = 4
CONFIG = yaml.safe_load((FOLDER / "serve.yaml").read_text())


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def configuration(path):
    """The shipped file, with other ports and a quicker loop; two replicas stay two."""
    config = yaml.safe_load((FOLDER / "serve.yaml").read_text())
    config["http_options"]["port"] = free_port()
    for application in config["applications"]:
        application["args"]["first_metrics_port"] = free_port()
    first = config["applications"][0]
    config["applications"][1]["args"] = first["args"]
    first["deployments"][0]["autoscaling_config"] |= {"max_replicas": 2}
    path.write_text(yaml.safe_dump(config))
    return config["http_options"]["port"]


@contextmanager
def serving(folder):
    port = configuration(folder / "serve.yaml")
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
            wait_until(lambda: len(targets(client)) == 2, "two replicas")
            wait_until(lambda: is_ready(client), "the first answer")
            yield SimpleNamespace(process=process, client=client, port=port)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(PATIENCE_S)


def targets(client):
    try:
        answer = client.get("/targets")
    except httpx.TransportError:
        return []
    return answer.json()[0]["targets"] if answer.status_code == 200 else []


def is_ready(client):
    return all("\nstt_ready 1.0" in scrape(target) for target in targets(client))


def scrape(target):
    return httpx.get(f"http://{target}/metrics").text


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
        wait_until(lambda: sum(one.done() for one in pending) >= len(wanted) // 4, "some answers")
        os.kill(replicas[0], signal.SIGKILL)
        answers = [one.result() for one in pending]
    assert [text for _, text in answers] == [expected[one.path] for one in wanted]
    errors = [status for statuses, _ in answers for status in statuses[:-1]]
    assert len(errors) <= CLIENTS
    wait_until(lambda: len(below(cluster.process.pid, REPLICA)) == 2, "another replica")
    wait_until(lambda: len(targets(client)) == 2 and is_ready(client), "its metrics")


def test_the_file_and_the_code_agree():
    speech, targets_application = CONFIG["applications"]
    assert speech["args"] == targets_application["args"]
    known = {f"STT_{name.upper()}" for name in Settings.model_fields}
    assert set(speech["runtime_env"]["env_vars"]) <= known
    assert CONFIG["http_options"]["request_timeout_s"] > Settings().request_timeout_s
