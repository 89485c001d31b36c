"""Faults in a real server: what the client sees, what is counted, and that the next one works."""

import asyncio
import os
import shutil
import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import websockets
from audio_files import wav
from patience import PATIENCE_S
from server_process import wait_for_readiness
from socket_client import streaming
from tiny_bundle import make_bundle, speak
from watched_server import descendants, watched

PROGRAM = (str(Path(__file__).parents[1] / "support" / "faulty_server.py"),)
GOOD = wav(speak("good morning"))
SHORT_S = "1"
HEAD = (
    "POST /transcribe HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n"
    "Content-Type: multipart/form-data; boundary=x\r\n\r\n--x\r\n"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_bundle(tmp_path_factory.mktemp("bundles") / "tiny")


@pytest.fixture(scope="module")
def server(folder):
    short = {"STT_UPLOAD_STALL_S": SHORT_S, "STT_STREAM_START_S": SHORT_S, "STT_MAX_REQUESTS": "8"}
    with watched(folder, PROGRAM, **short) as started:
        yield started


def post(server, content=GOOD):
    return server.client.post("/transcribe", files={"file": content})


def error_of(answer):
    return answer.status_code, answer.json()["error"]["code"]


def is_fine(server):
    return post(server).json().get("text") == "good morning"


@pytest.mark.parametrize(
    ("words", "code"),
    [("q", "inference_failed"), ("x", "inference_failed"), ("z", "out_of_memory")],
    ids=["raises", "nan", "memory"],
)
def test_a_failing_model_costs_its_own_request(server, words, code):
    name = 'stt_requests_total{endpoint="/transcribe",status="500"}'
    before = server.value(name)
    with ThreadPoolExecutor(4) as pool:
        good = [pool.submit(post, server) for _ in range(3)]
        assert error_of(post(server, wav(speak(words)))) == (500, code)
        assert [one.result().json()["text"] for one in good] == ["good morning"] * 3
    assert server.value(name) == before + 1
    assert is_fine(server)


def test_a_model_that_hangs_is_given_up_and_the_process_can_end(folder):
    settings = {"STT_INFERENCE_TIMEOUT_S": SHORT_S, "STT_SHUTDOWN_GRACE_S": "5"}
    with watched(folder, PROGRAM, **settings) as server:
        assert error_of(post(server, wav(speak("j")))) == (503, "device_lost")
        refused = post(server)
        assert error_of(refused) == (503, "not_ready")
        assert refused.headers["Retry-After"]
        assert server.client.get("/health/live").status_code == 503
        assert server.value("stt_ready") == 0
        server.running.send_signal(signal.SIGTERM)
        assert server.running.wait(PATIENCE_S) == 0


def test_a_killed_decoder_costs_nothing(server):
    assert is_fine(server)
    name = 'stt_decoder_deaths_total{reason="crash"}'
    before = server.value(name)
    nursery, *decoders = descendants(server.running.pid)
    for pid in decoders:
        os.kill(pid, signal.SIGKILL)
    assert is_fine(server)
    assert server.value(name) == before + 1
    os.kill(nursery, signal.SIGKILL)
    assert is_fine(server)


def test_a_bundle_that_is_damaged_meanwhile_goes_on_from_memory(tmp_path):
    own = make_bundle(tmp_path / "tiny")
    with watched(own) as server:
        for path in own.iterdir():
            path.write_bytes(b"damaged")
        assert is_fine(server)
        shutil.rmtree(own)
        assert is_fine(server)


@pytest.mark.parametrize("sent", ["", HEAD[:30]], ids=["nothing", "a part"])
def test_headers_that_crawl_end_the_connection(server, sent):
    name = 'stt_rejected_total{reason="late_head"}'
    before = server.value(name)
    with socket.create_connection(address(server), timeout=PATIENCE_S) as connection:
        connection.settimeout(0.2)
        connection.sendall(sent.encode())
        received = None
        while received is None:
            try:
                received = connection.recv(1000)
            except TimeoutError:
                connection.sendall(b"x" if sent else b"")
    assert received == b""
    assert server.value(name) == before + 1
    assert is_fine(server)


def test_an_upload_that_stalls_is_answered(server):
    with socket.create_connection(address(server), timeout=PATIENCE_S) as connection:
        connection.sendall(HEAD.encode())
        with connection.makefile("rb") as answer:
            received = answer.read()
    assert b" 408 " in received
    assert b"upload_stalled" in received
    assert is_fine(server)


def test_a_crawling_upload_is_answered(server):
    """A byte now and then is no progress."""
    with socket.create_connection(address(server), timeout=PATIENCE_S) as connection:
        connection.sendall(HEAD.encode())
        connection.settimeout(0.2)
        received = b""
        while not received:
            try:
                received = connection.recv(1000)
            except TimeoutError:
                connection.sendall(b"x")
    assert b" 408 " in received


async def test_a_silent_stream_is_ended(server):
    async with streaming(server.client) as client:
        messages = await client.rest()
    assert [message["code"] for message in messages] == ["stream_idle"]
    assert client.close_code == 1011
    assert server.settles("stt_active_streams", 0)


async def test_a_stream_that_has_begun_may_pause(server):
    async with streaming(server.client) as client:
        await client.begin()
        await asyncio.sleep(2 * float(SHORT_S))
        await client.say("stop")
        await client.until("done")


def test_a_burst_of_ten_times_the_capacity_is_refused_in_parts(server):
    capacity = 8
    long = wav(np.tile(speak("good morning "), 20))
    with ThreadPoolExecutor(10 * capacity) as pool:
        answers = list(pool.map(lambda _: post(server, long), range(10 * capacity)))
    statuses = {answer.status_code for answer in answers}
    assert statuses <= {200, 429}
    assert all(int(a.headers["Retry-After"]) >= 1 for a in answers if a.status_code == 429)
    assert sum(answer.status_code == 200 for answer in answers) >= capacity
    assert server.value('stt_rejected_total{reason="queue_full"}') == sum(
        answer.status_code == 429 for answer in answers
    )
    assert is_fine(server)


def test_clients_that_vanish_at_every_stage_leave_nothing(server):
    faults = len(server.faults())
    part = b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\n'
    body = part + GOOD + b"\r\n--x--\r\n"
    head = HEAD.replace("100000", str(len(body))).removesuffix("--x\r\n").encode()
    whole = head + body
    stages = (0, 1, 20, len(head), len(head) + 50, len(whole) // 2, len(whole) - 1, len(whole))
    for sent_bytes in stages:
        with socket.create_connection(address(server), timeout=PATIENCE_S) as connection:
            connection.sendall(whole[:sent_bytes])
            reset(connection)
    assert server.settles('stt_queue_size{lane="interactive"}', 0)
    assert is_fine(server)
    assert len(server.faults()) == faults


async def test_streams_that_vanish_at_every_stage_leave_nothing(server):
    faults = len(server.faults())
    url = f"ws://{server.client.base_url.host}:{server.client.base_url.port}/ws/transcribe"
    messages = ['{"type": "start", "encoding": "pcm_s16le"}', bytes(32_000), '{"type": "finalize"}']
    for count in range(len(messages) + 1):
        connected = await websockets.connect(url, proxy=None)
        for message in messages[:count]:
            await connected.send(message)
        connected.transport.abort()
    assert await asyncio.to_thread(server.settles, "stt_active_streams", 0)
    assert len(server.faults()) == faults


def test_it_is_ready_all_the_time(server):
    wait_for_readiness(server.client, 200)


def address(server):
    return server.client.base_url.host, server.client.base_url.port


def reset(connection):
    """Vanish without a goodbye."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
