"""The server as a process of its own, on a real socket."""

import json
import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from threading import Semaphore

import pytest
from audio_files import wav
from patience import PATIENCE_S
from server_process import connected, process, wait_for_readiness
from tiny_bundle import make_bundle, speak

GOOD = wav(speak("good morning"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_bundle(tmp_path_factory.mktemp("bundles") / "tiny")


@pytest.fixture
def half_sent():
    """Begins a request on a socket and stops in the middle of its body."""
    sockets = []

    def begin(client):
        body = b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\n' + GOOD
        body += b"\r\n--x--\r\n"
        head = (
            "POST /transcribe HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            "Content-Type: multipart/form-data; boundary=x\r\nExpect: 100-continue\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        address = (client.base_url.host, client.base_url.port)
        connection = socket.create_connection(address, timeout=PATIENCE_S)
        sockets.append(connection)
        connection.sendall(head.encode())
        assert b"100 Continue" in connection.recv(1000)  # so the request was let in
        connection.sendall(body[:1000])
        return connection, body[1000:]

    yield begin
    for connection in sockets:
        connection.close()


def test_it_loads_serves_and_exits_cleanly(folder):
    with process(folder) as server, connected(server) as client:
        wait_for_readiness(client, 200)
        answer = client.post("/transcribe", files={"file": GOOD})
        assert answer.json()["text"] == "good morning"
        server.send_signal(signal.SIGINT)
        assert server.wait(PATIENCE_S) == 0


def test_sigterm_refuses_new_requests_and_finishes_accepted_ones(folder, half_sent):
    with process(folder) as server, connected(server) as client:
        wait_for_readiness(client, 200)
        connection, rest = half_sent(client)
        server.send_signal(signal.SIGTERM)
        wait_for_readiness(client, 503)
        refused = client.post("/transcribe", files={"file": GOOD})
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "not_ready")
        connection.sendall(rest)
        with connection.makefile("rb") as answer:
            head, _, body = answer.read().partition(b"\r\n\r\n")
        assert b" 200 " in head
        assert json.loads(body)["text"] == "good morning"
        assert server.wait(PATIENCE_S) == 0


def test_sigterm_under_load_answers_every_accepted_request(folder, half_sent):
    clients, warm = 8, Semaphore(0)

    def ask_until_refused(client):
        statuses = []
        while not statuses or statuses[-1] == 200:
            answer = client.post("/transcribe", files={"file": GOOD})
            statuses.append(answer.status_code)
            warm.release()
        return statuses

    with process(folder) as server, connected(server) as client:
        wait_for_readiness(client, 200)
        with ThreadPoolExecutor(clients) as pool:
            asking = [pool.submit(ask_until_refused, client) for _ in range(clients)]
            for _ in range(5 * clients):
                assert warm.acquire(timeout=PATIENCE_S)
            accepted = [half_sent(client) for _ in range(3)]
            server.send_signal(signal.SIGTERM)
            outcomes = [one.result(PATIENCE_S) for one in asking]
        for statuses in outcomes:
            assert statuses == [200] * (len(statuses) - 1) + [503]
        for connection, rest in accepted:
            connection.sendall(rest)
        for connection, _ in accepted:
            with connection.makefile("rb") as answer:
                head, _, body = answer.read().partition(b"\r\n\r\n")
            assert b" 200 " in head
            assert json.loads(body)["text"] == "good morning"
        assert server.wait(PATIENCE_S) == 0


@pytest.mark.parametrize("signals", [1, 2])
def test_nobody_keeps_it_from_exiting(folder, half_sent, signals):
    grace_s = {1: "0.1", 2: "3600"}[signals]
    with process(folder, STT_SHUTDOWN_GRACE_S=grace_s) as server, connected(server) as client:
        wait_for_readiness(client, 200)
        half_sent(client)
        server.send_signal(signal.SIGTERM)
        if signals == 2:
            wait_for_readiness(client, 503)
            server.send_signal(signal.SIGTERM)
        assert server.wait(PATIENCE_S) == 0


def test_a_refused_body_that_is_still_being_sent_gets_its_answer(folder):
    with process(folder, STT_MAX_UPLOAD_BYTES="1000") as server, connected(server) as client:
        wait_for_readiness(client, 200)
        answer = client.post("/transcribe", files={"file": bytes(20_000_000)})
        assert answer.status_code == 413
        assert answer.json()["error"]["limit"] == 1000


def test_a_damaged_bundle_ends_the_process_with_one_clear_line(folder, tmp_path):
    manifest = json.loads((folder / "bundle.json").read_text())
    manifest["files"]["model.onnx"] = "0" * 64
    for path in folder.iterdir():
        (tmp_path / path.name).symlink_to(path)
    (tmp_path / "bundle.json").unlink()
    (tmp_path / "bundle.json").write_text(json.dumps(manifest))
    with process(tmp_path) as server:
        _, log = server.communicate(timeout=PATIENCE_S)
    assert server.returncode == 1
    (line,) = [line for line in log.splitlines() if "CRITICAL" in line]
    assert "model.onnx is damaged" in line
    assert "Traceback" not in log


def test_a_taken_port_ends_the_process(folder):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with process(folder, STT_PORT=port) as server:
            _, log = server.communicate(timeout=PATIENCE_S)
    assert server.returncode != 0
    assert "address already in use" in log
    assert "Traceback" not in log
