"""A client that hangs up on a real socket, while its long file waits for the model."""

import re
import socket

import httpx
import numpy as np
from audio_files import wav
from server_process import PATIENCE_S

RATE_HZ = 8000
LENGTH_S = 600


def sample(client: httpx.Client, name: str) -> float:
    (value,) = re.findall(rf"^{re.escape(name)} (\S+)$", client.get("/metrics").text, re.MULTILINE)
    return float(value)


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
        while not sample(client, 'stt_queue_size{lane="bulk"}'):
            pass
    while sample(client, 'stt_queue_size{lane="bulk"}'):
        pass
    assert sample(client, "stt_cancelled_total") > cancelled
    assert sample(client, "stt_batch_audio_seconds_sum") - computed_s < LENGTH_S
    assert client.get("/health/ready").status_code == 200
