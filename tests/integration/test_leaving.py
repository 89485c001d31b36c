"""A client that hangs up on a real socket, while its long file waits for the model."""

import json
import re
import signal
import socket
import time

import httpx
import numpy as np
from audio_files import wav
from patience import PATIENCE_S
from server_process import LOOK_S, connected, process, wait_for_readiness

from service.config import PACKAGED_BUNDLE

RATE_HZ = 8000
LENGTH_S = 600


def sample(client: httpx.Client, name: str) -> float:
    (value,) = re.findall(rf"^{re.escape(name)} (\S+)$", client.get("/metrics").text, re.MULTILINE)
    return float(value)


def wait_until_queued(client: httpx.Client, is_queued: bool) -> None:
    while bool(sample(client, 'stt_queue_size{lane="bulk"}')) != is_queued:
        time.sleep(LOOK_S)


def post_and_keep_open(client: httpx.Client, content: bytes) -> socket.socket:
    request = client.build_request("POST", "/transcribe", files={"file": content})
    address = (client.base_url.host, client.base_url.port)
    connection = socket.create_connection(address, timeout=PATIENCE_S)
    head = [b"POST /transcribe HTTP/1.1", *(b": ".join(field) for field in request.headers.raw)]
    connection.sendall(b"\r\n".join([*head, b"", request.read()]))
    return connection


def test_queued_work_of_a_client_that_left_is_dropped_and_counted(server):
    client = server.client
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, LENGTH_S * RATE_HZ)
    computed_s = sample(client, "stt_batch_audio_seconds_sum")
    cancelled = sample(client, "stt_cancelled_total")
    with post_and_keep_open(client, wav(noise, RATE_HZ)):
        wait_until_queued(client, True)
    wait_until_queued(client, False)
    assert sample(client, "stt_cancelled_total") > cancelled
    assert sample(client, "stt_batch_audio_seconds_sum") - computed_s < LENGTH_S
    assert client.get("/health/ready").status_code == 200


def test_work_that_outlasts_the_grace_is_told_to_go_elsewhere():
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, LENGTH_S * RATE_HZ)
    settings = {"STT_SHUTDOWN_GRACE_S": "0.2"}
    with process(PACKAGED_BUNDLE, **settings) as running, connected(running) as client:
        wait_for_readiness(client, 200)
        with post_and_keep_open(client, wav(noise, RATE_HZ)) as connection:
            wait_until_queued(client, True)
            running.send_signal(signal.SIGTERM)
            with connection.makefile("rb") as answer:
                head, _, body = answer.read().partition(b"\r\n\r\n")
        assert running.wait(PATIENCE_S) == 0
    assert b" 503 " in head
    assert json.loads(body)["error"]["code"] == "not_ready"
