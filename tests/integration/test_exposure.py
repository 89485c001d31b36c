"""What strangers and their pages may try on a real server: names, origins, odd bytes, TLS."""

import json
import socket
import ssl
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from threading import Thread

import httpx
import pytest
import uvicorn
import websockets
from audio_files import wav
from keys import make_keys
from patience import PATIENCE_S
from prometheus_client import CollectorRegistry
from server_process import connected, process, serving, wait_for_readiness
from socket_client import streaming
from tiny_bundle import make_bundle, speak

from service import http_protocol
from service.http_protocol import MAX_HEAD_BYTES
from service.metrics import Metrics
from service.routes.security import SAFE_HEADERS

cryptography = pytest.importorskip("cryptography")

from cryptography import x509  # noqa: E402
from cryptography.hazmat.primitives import hashes, serialization  # noqa: E402
from cryptography.hazmat.primitives.asymmetric import ec  # noqa: E402

SAID = "good morning"
GOOD = wav(speak(SAID))
FRIEND, STRANGER = "https://app.example.org", "https://evil.example.org"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_bundle(tmp_path_factory.mktemp("bundles") / "tiny")


@pytest.fixture(scope="module")
def http(folder):
    with serving(folder, STT_CORS_ORIGINS=FRIEND) as client:
        yield client


@pytest.fixture(scope="module")
def closed(folder, tmp_path_factory):
    with serving(folder, STT_JOBS_DIR=str(tmp_path_factory.mktemp("jobs"))) as client:
        yield client


@contextmanager
def raw(http):
    address = (http.base_url.host, http.base_url.port)
    with socket.create_connection(address, timeout=PATIENCE_S) as connection:
        yield connection


def talk(http, *pieces):
    """All that comes back for these bytes, until the server closes."""
    with raw(http) as connection:
        for piece in pieces:
            connection.sendall(piece)
        received = b""
        while piece := connection.recv(65536):
            received += piece
    return received


def post(http, **headers):
    return http.post("/transcribe", files={"file": GOOD}, headers=headers)


@pytest.mark.parametrize("host", ["evil.example.org", "evil.org:8000", "localhost.evil", "["])
def test_names_of_others_are_not_answered_on_loopback(http, host):
    answer = post(http, Host=host)
    assert answer.status_code == 403
    assert answer.json()["error"]["code"] == "forbidden"
    assert answer.json()["error"]["found"] == host
    assert SAID not in answer.text


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1:80", "[::1]:8000"])
def test_its_own_names_are(http, host):
    assert post(http, Host=host).json()["text"] == SAID


async def test_sockets_are_called_by_their_names_too(http):
    url = f"ws://evil.example.org:{http.base_url.port}/ws/transcribe"
    async with websockets.connect(url, host="127.0.0.1", port=http.base_url.port, proxy=None) as s:
        assert json.loads(await s.recv())["code"] == "forbidden"
        with pytest.raises(websockets.ConnectionClosedError):
            await s.recv()
    assert s.close_code == 1008


async def outcome(http, origin):
    async with streaming(http, origin=origin) as client:
        with suppress(websockets.ConnectionClosedError):  # it need not wait for what is said
            await client.say("start", encoding="pcm_s16le")
            await client.say("stop")
        told = (await client.rest())[0]
        return told.get("code", told["type"])


async def test_only_pages_that_are_named_open_sockets(http, closed):
    own = f"http://{http.base_url.host}:{http.base_url.port}"
    assert await outcome(http, FRIEND) == "ready"
    assert await outcome(http, own) == "ready"
    assert await outcome(http, STRANGER) == "forbidden"
    assert await outcome(http, "null") == "forbidden"
    assert await outcome(closed, FRIEND) == "forbidden"


def preflight(http, origin):
    asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    return http.options(
        "/transcribe", headers=asked | {"Access-Control-Request-Headers": "authorization"}
    )


def test_pages_elsewhere_read_nothing_unless_they_are_named(http, closed):
    allowed = preflight(http, FRIEND)
    assert allowed.status_code == 200
    assert allowed.headers["access-control-allow-origin"] == FRIEND
    assert "authorization" in allowed.headers["access-control-allow-headers"].lower()
    answer = post(http, Origin=FRIEND)
    assert answer.headers["access-control-allow-origin"] == FRIEND
    assert "X-Request-ID" in answer.headers["access-control-expose-headers"]
    assert "access-control-allow-credentials" not in answer.headers
    for server, origin in ((http, STRANGER), (closed, FRIEND), (closed, STRANGER)):
        for answer in (preflight(server, origin), post(server, Origin=origin)):
            assert "access-control-allow-origin" not in answer.headers


def test_every_answer_has_safe_headers(closed):
    answers = [
        post(closed),
        closed.get("/health/live"),
        closed.get("/metrics"),
        closed.get("/nothing"),
        closed.post("/transcribe", content=b"x"),
        closed.post("/admin/reload"),
        closed.get("/", headers={"Host": "evil.example.org"}),
        preflight(closed, STRANGER),
    ]
    assert {answer.status_code for answer in answers} >= {200, 404, 400, 403}
    for answer in answers:
        assert {name: answer.headers.get(name) for name in SAFE_HEADERS} == SAFE_HEADERS
        assert "server" not in answer.headers


PATHS = [
    "/page/../../../../etc/passwd",
    "/page/..%2f..%2f..%2fetc%2fpasswd",
    "/page/%2e%2e/main.py",
    "/page/%00",
    "/page/index.html%00.js",
    "/static-offline-docs/../../../etc/passwd",
    "/static-offline-docs/..%2f..%2fcore.py",
    "/static-offline-docs//etc/passwd",
    "/jobs/..%2f..%2fjobs.db",
    "/jobs/%2e%2e",
    "/v1/models/..%2f..%2fbundle.json",
    "//etc/passwd",
]


@pytest.mark.parametrize("path", PATHS)
def test_paths_lead_nowhere_but_to_routes(closed, path):
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
    status, _, rest = talk(closed, request).partition(b"\r\n")
    assert status.split()[1] in {b"400", b"404"}, status
    assert b"root:" not in rest
    assert b"import" not in rest


@pytest.mark.parametrize("name", ["../../escape.wav", "/etc/passwd", "a\x00b", "..\\..\\x.wav"])
def test_names_of_files_are_never_paths(closed, name):
    answer = closed.post("/transcribe", files={"file": (name, GOOD)})
    assert answer.json()["text"] == SAID


@pytest.mark.parametrize("path", ["file:///etc/passwd", "http://127.0.0.1:9/x", "/etc/passwd"])
@pytest.mark.parametrize("field", ["model", "language", "hot_words", "url", "path", "file_url"])
def test_nothing_is_fetched_that_a_client_names(closed, folder, field, path):
    """There is no field for addresses; a name is compared, never opened."""
    with socket.create_server(("127.0.0.1", 0)) as trap:
        trap.settimeout(0.05)
        value = path.replace(":9/", f":{trap.getsockname()[1]}/")
        answer = closed.post("/transcribe", files={"file": GOOD}, data={field: value})
        with pytest.raises(TimeoutError):
            trap.accept()
    assert answer.status_code in {200, 400}
    assert "root:" not in answer.text


@pytest.mark.parametrize(
    "content",
    [
        b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:%d/a.ts\n",
        b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n",
        b"ffconcat version 1.0\nfile 'http://127.0.0.1:%d/a.wav'\n",
        b'<?xml version="1.0"?><MPD><Period><BaseURL>http://127.0.0.1:%d/</BaseURL></Period></MPD>',
    ],
)
def test_playlists_are_no_audio_and_are_not_followed(closed, content):
    with socket.create_server(("127.0.0.1", 0)) as trap:
        trap.settimeout(0.2)
        filled = content.replace(b"%d", str(trap.getsockname()[1]).encode())
        answer = closed.post("/transcribe", files={"file": ("a.m3u8", filled)})
        with pytest.raises(TimeoutError):
            trap.accept()
    assert answer.status_code == 415


SMUGGLED = b"GET /version HTTP/1.1\r\nHost: localhost\r\n\r\n"
AMBIGUOUS = [
    b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
    b"Content-Length: 0\r\nContent-Length: 44\r\n",
    b"Content-Length: +4\r\n",
    b"Content-Length: 4, 4\r\n",
    b"Content-Length : 4\r\n",
    b"Transfer-Encoding: xchunked\r\n",
    b"Transfer-Encoding: chunked, identity\r\n",
    b"Transfer-Encoding : chunked\r\n",
    b"X: a\r\n Transfer-Encoding: chunked\r\n",
    b"X: a\nContent-Length: 4\r\n",
    b"X: a\rContent-Length: 4\r\n",
]


@pytest.mark.parametrize("headers", AMBIGUOUS)
def test_where_a_body_ends_is_never_a_matter_of_opinion(closed, headers):
    """What is ambiguous is refused, and nothing behind it on the connection is answered."""
    head = b"POST /transcribe HTTP/1.1\r\nHost: localhost\r\n" + headers + b"\r\n"
    received = talk(closed, head + b"0\r\n\r\n" + SMUGGLED)
    assert received.startswith(b"HTTP/1.1 400")
    assert received.count(b"HTTP/1.1") == 1
    assert b'"version"' not in received


@pytest.mark.parametrize(
    "chunk", [b"5\r\nabc\r\n0\r\n\r\n", b"-1\r\n", b"0x5\r\nabcde\r\n0\r\n\r\n", b"g\r\n", b"5 ;\n"]
)
def test_bad_chunks_end_the_connection(closed, chunk):
    head = (
        b"POST /transcribe HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
        b"Content-Type: multipart/form-data; boundary=x\r\n\r\n"
    )
    received = talk(closed, head + chunk + SMUGGLED)
    assert received.count(b"HTTP/1.1") == 1
    assert b'"version"' not in received


def test_headers_cannot_be_put_into_answers(closed):
    answer = closed.get("/version", headers={"X-Request-ID": "a%0d%0aX-Evil: 1"})
    assert "x-evil" not in answer.headers
    assert answer.headers["x-request-id"] != "a%0d%0aX-Evil: 1"


LARGE = b"a" * MAX_HEAD_BYTES


@pytest.mark.parametrize(
    "head",
    [
        b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nX: " + LARGE + b"\r\n\r\n",
        b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nX: " + LARGE * 4,
        b"GET /" + LARGE * 4,
        b"GET /health/live HTTP/1.1\r\n" + b"X: 12345678\r\n" * 10_000 + b"\r\n",
        b"GET /health/live HTTP/1.1\r\n" + LARGE * 4,
    ],
)
def test_what_comes_before_a_body_has_its_limit(closed, head):
    with raw(closed) as connection:
        received = b""
        with suppress(OSError):  # it may hang up before it has heard all
            connection.sendall(head)
        with suppress(ConnectionResetError):
            while piece := connection.recv(65536):
                received += piece
    assert not received or received.startswith((b"HTTP/1.1 431", b"HTTP/1.1 400"))
    assert b"live" not in received
    assert closed.get("/health/live").status_code == 200


@pytest.mark.parametrize(
    "head", [b"no head\r\n\r\n", b"GET / HTTP/1.1\r\nX: " + LARGE + b"\r\n\r\n"]
)
def test_heads_that_cannot_be_taken_are_counted(closed, head):
    name = 'stt_rejected_total{reason="bad_head"}'

    def counted():
        (line,) = [one for one in closed.get("/metrics").text.splitlines() if name in one]
        return float(line.split()[-1])

    before = counted()
    assert talk(closed, head).startswith(b"HTTP/1.1 4")
    assert counted() == before + 1


def test_what_fits_is_taken_in_any_pieces(closed):
    value = b"a" * (MAX_HEAD_BYTES - 1000)
    head = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX: " + value
    received = talk(closed, head[:10], head[10:40_000], head[40_000:], b"\r\n\r\n")
    assert received.startswith(b"HTTP/1.1 200")


@pytest.fixture
def impatient(monkeypatch):
    """The address of a server that waits a fifth of a second for heads, and its metrics."""
    monkeypatch.setattr(http_protocol, "HEAD_S", 0.2)

    async def app(scope, receive, send):
        start = {"type": "http.response.start", "status": 200}
        await send(start | {"headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body"})

    listener = socket.create_server(("127.0.0.1", 0))
    metrics = Metrics(CollectorRegistry())
    http = partial(http_protocol.BoundedHttp, metrics=metrics)
    options = {"http": http, "lifespan": "off", "log_config": None}
    server = uvicorn.Server(uvicorn.Config(app, **options))
    thread = Thread(target=server.run, args=([listener],))
    thread.start()
    yield listener.getsockname(), metrics
    server.should_exit = True
    thread.join()


@pytest.mark.parametrize("begun", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET"])
def test_a_head_that_does_not_come_is_not_waited_for(impatient, begun):
    """Neither the first one of a connection nor one behind an answer; it is counted."""
    address, metrics = impatient
    with socket.create_connection(address, timeout=PATIENCE_S) as connection:
        connection.sendall(begun)
        received = b""
        while piece := connection.recv(65536):
            received += piece
    assert received.count(b"200 OK") == begun.count(b"\r\n\r\n")
    late = metrics.registry.get_sample_value("stt_rejected_total", {"reason": "late_head"})
    assert late == 1


def test_connections_that_end_in_time_are_not_counted(impatient):
    address, metrics = impatient
    for begun in (b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"):
        with socket.create_connection(address, timeout=PATIENCE_S) as connection:
            connection.sendall(begun)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass
    time.sleep(2 * http_protocol.HEAD_S)
    late = metrics.registry.get_sample_value("stt_rejected_total", {"reason": "late_head"})
    assert late is None


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """Self-made, for this machine: paths of the certificate and of its key."""
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return folder / "cert.pem", folder / "key.pem"


def test_tls_without_a_proxy(folder, certificate, tmp_path):
    cert, key = certificate
    clip = tmp_path / "clip.wav"
    clip.write_bytes(GOOD)
    with process(folder, STT_TLS_CERT=str(cert), STT_TLS_KEY=str(key)) as server:
        port = port_of(server)
        context = ssl.create_default_context(cafile=str(cert))
        url = f"https://localhost:{port}"
        with httpx.Client(base_url=url, verify=context, timeout=PATIENCE_S) as client:
            wait_for_readiness(client, 200)
            assert post(client).json()["text"] == SAID
        with pytest.raises(httpx.ConnectError, match="self-signed"):
            httpx.get(f"{url}/health/live")
        with pytest.raises(httpx.RemoteProtocolError):
            httpx.get(f"http://localhost:{port}/health/live")
        command = [sys.executable, "-m", "service", "stream", str(clip)]
        done = subprocess.run(
            [*command, "--url", f"wss://localhost:{port}/ws/transcribe"],
            env={"SSL_CERT_FILE": str(cert), "PATH": ""},
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        assert (done.stdout.strip(), done.stderr) == (SAID, "")


def port_of(server):
    for line in server.stderr:
        if "running on https://127.0.0.1:" in line:
            return int(line.split("https://127.0.0.1:")[1].split()[0])
    raise AssertionError


def test_logs_hold_neither_keys_nor_what_was_said(folder, tmp_path):
    secrets = make_keys(tmp_path / "keys.json", {"app": {}, "other": {}})
    clip = tmp_path / "clip.wav"
    clip.write_bytes(GOOD)
    told = {"STT_API_KEYS_FILE": str(tmp_path / "keys.json"), "STT_LOG_LEVEL": "debug"}
    with process(folder, **told) as server:
        with connected(server) as client:
            headers = {"Authorization": f"Bearer {secrets['app']}"}
            wait_for_readiness(client, 200)
            for secret in (secrets["app"], "stt_wrong-secret"):
                client.post(
                    f"/transcribe?token={secret}",
                    files={"file": (f"{secret}.wav", GOOD)},
                    headers={"Authorization": f"Bearer {secret}"},
                )
            assert post(client, **headers).json()["text"] == SAID
            url = f"ws://127.0.0.1:{client.base_url.port}/ws/transcribe"
            by_query = f"{url}?token={secrets['other']}"
            for address, key in ((by_query, "none"), (url, secrets["app"])):
                subprocess.run(
                    [sys.executable, "-m", "service", "stream", str(clip), "--url", address],
                    env={"STT_API_KEY": key, "PATH": ""},
                    capture_output=True,
                    timeout=PATIENCE_S,
                    check=False,
                )
        server.terminate()
        log = server.stderr.read()
    assert "WS /ws/transcribe 1000" in log
    assert "POST /transcribe 200" in log
    for word in (*secrets.values(), "stt_wrong", "token=", SAID.split()[1], "clip.wav", "RIFF"):
        assert word not in log, word
