"""The HTTP service in process, around a model whose transcripts are known."""

import asyncio
import io
import re
from contextlib import asynccontextmanager

import httpx
import numpy as np
import pytest
from audio_files import encode, wav
from tiny_bundle import HOP, RATE_HZ, make_bundle, speak

from service.app import create_app
from service.config import Settings
from service.errors import DeviceLost, InferenceFailed

TEXT = "good morning"
GOOD = wav(speak(TEXT))
MAX_UPLOAD_BYTES = 1_000_000
MAX_AUDIO_S = 30


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_bundle(tmp_path_factory.mktemp("bundles") / "tiny")


@asynccontextmanager
async def connected(app):
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        yield client


@pytest.fixture
def app(folder):
    return create_app(
        Settings(
            bundle=folder,
            device="cpu",
            threads=1,
            max_upload_bytes=MAX_UPLOAD_BYTES,
            max_audio_s=MAX_AUDIO_S,
        )
    )


@pytest.fixture
async def client(app):
    await app.state.service.start()
    async with connected(app) as client:
        yield client
    await app.state.service.drain()


async def post(client, content, field="file", **kwargs):
    return await client.post("/transcribe", files={field: ("audio", content)}, **kwargs)


async def assert_still_serves(client):
    answer = await post(client, GOOD)
    assert answer.status_code == 200
    assert answer.json()["text"] == TEXT


def error_of(answer):
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "code", "param", "found", "limit"}
    assert error["message"]
    return error


async def test_a_file_posted_comes_back_as_its_words(client):
    answer = await post(client, GOOD, data={"language": "en", "model": "tiny"})
    assert answer.status_code == 200
    body = answer.json()
    assert list(body) == [
        "text",
        "duration_s",
        "language",
        "model",
        "request_id",
        "words",
        "timing",
    ]
    assert (body["text"], body["language"], body["model"]) == (TEXT, "en", "tiny")
    assert body["request_id"] == answer.headers["x-request-id"]
    good, morning = body["words"]
    assert (good["word"], morning["word"]) == ("good", "morning")
    assert 0 < good["start_s"] < good["end_s"] < morning["start_s"] < morning["end_s"]
    assert morning["end_s"] <= body["duration_s"]
    assert 0 < good["confidence"] <= 1
    assert set(body["timing"]) == {"decode_s", "queue_s", "inference_s", "ctc_s", "total_s"}


@pytest.mark.parametrize(
    ("container", "codec", "rate_hz", "layout"),
    [
        ("wav", "pcm_s16le", 8_000, "mono"),
        ("wav", "pcm_s24le", 44_100, "stereo"),
        ("flac", "flac", 48_000, "5.1"),
        ("mp3", "libmp3lame", 44_100, "stereo"),
        ("ogg", "libopus", 48_000, "mono"),
        ("webm", "libopus", 48_000, "stereo"),
        ("mp4", "aac", 44_100, "mono"),
    ],
)
async def test_every_format_is_taken(client, container, codec, rate_hz, layout):
    content = encode(
        np.zeros(2 * rate_hz, np.float32), container, codec, rate_hz=rate_hz, layout=layout
    )
    answer = await post(client, content)
    assert answer.status_code == 200
    assert answer.json()["duration_s"] == pytest.approx(2, abs=0.1)


async def test_silence_is_an_empty_text(client):
    answer = await post(client, wav(np.zeros(RATE_HZ, np.float32)))
    assert answer.status_code == 200
    assert answer.json()["text"] == ""
    assert answer.json()["words"] == []


async def test_many_at_once_each_get_their_own_words(client):
    texts = ["ab " * count + "z" for count in range(1, 13)]
    answers = await asyncio.gather(*(post(client, wav(speak(text))) for text in texts))
    assert [answer.json()["text"] for answer in answers] == texts
    assert len({answer.json()["request_id"] for answer in answers}) == len(texts)


BAD_FILES = {
    "empty": (b"", 400, "empty_audio", 0, HOP),
    "no samples": (wav(np.zeros(0, np.float32)), 400, "empty_audio", 0, HOP),
    "one sample": (wav(np.zeros(1, np.float32)), 400, "audio_too_short", 1, HOP),
    "text": (b"good morning\n" * 99, 415, "unsupported_audio", None, None),
    "picture": (b"\x89PNG\r\n\x1a\n" + bytes(999), 415, "unsupported_audio", None, None),
    "not a number": (
        wav(np.full(RATE_HZ, np.nan, np.float32), subtype="FLOAT"),
        415,
        "unsupported_audio",
        "nan",
        100.0,
    ),
    "cut WAV": (GOOD[:9000], 415, "truncated_audio", 9000 - 44, len(GOOD) - 44),
    "cut FLAC": (
        encode(speak("a" * 20), "flac", "flac")[:8300],
        415,
        "truncated_audio",
        ...,
        speak("a" * 20).size / RATE_HZ,
    ),
    "too long": (
        encode(np.zeros(40 * RATE_HZ, np.float32), "flac", "flac"),
        413,
        "audio_too_long",
        40.0,
        float(MAX_AUDIO_S),
    ),
    "too big": (bytes(MAX_UPLOAD_BYTES), 413, "upload_too_large", ..., MAX_UPLOAD_BYTES),
}


@pytest.mark.parametrize("case", BAD_FILES)
async def test_bad_files_are_refused_and_the_server_goes_on(client, case):
    content, status, code, found, limit = BAD_FILES[case]
    answer = await post(client, content)
    error = error_of(answer)
    assert (answer.status_code, error["code"]) == (status, code)
    assert error["type"] == "invalid_request_error"
    assert error["limit"] == limit
    assert found is ... or error["found"] == found
    await assert_still_serves(client)


async def test_a_wrong_field_is_told(client):
    answer = await post(client, GOOD, field="audio")
    error = error_of(answer)
    assert (answer.status_code, error["code"], error["param"]) == (400, "invalid_request", "file")
    assert error["found"] == ["audio"]
    await assert_still_serves(client)


async def test_a_body_that_is_no_form_is_told(client):
    answer = await client.post("/transcribe", content=GOOD, headers={"content-type": "audio/wav"})
    error = error_of(answer)
    assert (answer.status_code, error["code"]) == (400, "invalid_request")
    assert (error["found"], error["limit"]) == ("audio/wav", "multipart/form-data")
    await assert_still_serves(client)


async def test_an_unannounced_body_is_refused_as_it_arrives(client):
    async def endless():
        yield b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\n'
        while True:
            yield bytes(65_536)

    headers = {"content-type": "multipart/form-data; boundary=x"}
    answer = await client.post("/transcribe", content=endless(), headers=headers)
    error = error_of(answer)
    assert (answer.status_code, error["code"]) == (413, "upload_too_large")
    assert MAX_UPLOAD_BYTES < error["found"] < MAX_UPLOAD_BYTES + 65_537
    await assert_still_serves(client)


@pytest.mark.parametrize(("field", "served"), [("language", ["en"]), ("model", ["tiny"])])
async def test_what_is_not_served_is_told(client, field, served):
    answer = await post(client, GOOD, data={field: "klingon"})
    error = error_of(answer)
    assert (answer.status_code, error["code"], error["param"]) == (400, "invalid_request", field)
    assert (error["found"], error["limit"]) == ("klingon", served)


async def test_a_failing_model_is_our_fault(client, app, monkeypatch):
    async def fail(*_, **__):
        raise InferenceFailed("the model failed on this audio")

    with monkeypatch.context() as patched:
        patched.setattr(app.state.service.models.default.batcher, "submit", fail)
        answer = await post(client, GOOD)
    error = error_of(answer)
    assert (answer.status_code, error["code"]) == (500, "inference_failed")
    assert error["type"] == "server_error"
    await assert_still_serves(client)


async def test_a_fault_of_our_own_keeps_the_shape_and_tells_nothing(client, app, monkeypatch):
    async def fail(*_, **__):
        raise ZeroDivisionError("secret")

    with monkeypatch.context() as patched:
        patched.setattr(app.state.service.models.default.batcher, "submit", fail)
        answer = await post(client, GOOD, headers={"x-request-id": "mine"})
    assert (answer.status_code, error_of(answer)["code"]) == (500, "internal_server_error")
    assert answer.headers["x-request-id"] == "mine"
    assert "secret" not in answer.text
    await assert_still_serves(client)


async def test_a_full_house_says_when_to_come_back(folder):
    app = create_app(Settings(bundle=folder, device="cpu", max_requests=1))
    await app.state.service.start()
    async with connected(app) as client:
        with app.state.service.admit():
            answer = await post(client, GOOD)
        error = error_of(answer)
        assert (answer.status_code, error["code"]) == (429, "overloaded")
        assert (error["type"], error["limit"]) == ("rate_limit_error", 1)
        assert int(answer.headers["retry-after"]) >= 1
        await assert_still_serves(client)
    await app.state.service.drain()


async def test_a_request_that_takes_too_long_is_ended(folder):
    app = create_app(Settings(bundle=folder, device="cpu", request_timeout_s=1e-6))
    await app.state.service.start()
    async with connected(app) as client:
        answer = await post(client, GOOD)
    assert (answer.status_code, error_of(answer)["code"]) == (504, "deadline_exceeded")
    assert error_of(answer)["limit"] == 1e-6
    await app.state.service.drain()


async def test_health_tells_loading_ready_and_draining(app):
    service = app.state.service
    async with connected(app) as client:
        answer = await client.get("/health/ready")
        assert (answer.status_code, error_of(answer)["code"]) == (503, "not_ready")
        assert "loaded" in error_of(answer)["message"]
        assert (await client.get("/version")).json()["model"] is None
        assert (await post(client, GOOD)).status_code == 503
        await service.start()
        assert (await client.get("/health/ready")).json() == {"status": "ready"}
        await service.drain()
        answer = await client.get("/health/ready")
        assert answer.status_code == 503
        assert "exits" in error_of(answer)["message"]
        assert (await post(client, GOOD)).status_code == 503
        assert (await client.get("/health/live")).json() == {"status": "live"}


async def test_a_lost_device_asks_for_a_restart(client, app, monkeypatch):
    def lose(waveforms, lengths):
        raise DeviceLost("planned loss")

    monkeypatch.setattr(app.state.service.models.default.parts.loaded.model, "infer", lose)
    answer = await post(client, GOOD)
    assert (answer.status_code, error_of(answer)["code"]) == (503, "device_lost")
    for path in ("/health/ready", "/health/live"):
        answer = await client.get(path)
        assert (answer.status_code, error_of(answer)["code"]) == (503, "not_ready")
        assert "the device broke" in error_of(answer)["message"]
    answer = await post(client, GOOD)
    assert (answer.status_code, error_of(answer)["code"]) == (503, "not_ready")


async def test_version_tells_what_runs(client):
    body = (await client.get("/version")).json()
    assert re.fullmatch(r"\d+\.\d+\.\d+", body["version"])
    assert body["model"] == {
        "name": "tiny",
        "languages": ["en"],
        "file": "model.onnx",
        "runtime": "onnxruntime",
        "precision": "float32",
        "device": "cpu",
        "decoding": "greedy",
        "decodings": ["greedy"],
    }
    assert body["models"] == [{"name": "tiny", "languages": ["en"], "is_loaded": True}]


async def test_metrics_count_requests_by_endpoint_and_status(client):
    await assert_still_serves(client)
    await post(client, b"")
    await client.get("/somewhere")
    answer = await client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    for line in (
        'stt_requests_total{endpoint="/transcribe",status="200"} 1.0',
        'stt_requests_total{endpoint="/transcribe",status="400"} 1.0',
        'stt_requests_total{endpoint="other",status="404"} 1.0',
        'stt_request_duration_seconds_count{endpoint="/transcribe"} 2.0',
        'stt_model_info{device="cpu",file="model.onnx",name="tiny",precision="float32"',
    ):
        assert line in answer.text


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not_found"),
        ("GET", "/transcribe", 405, "method_not_allowed"),
        ("POST", "/metrics", 405, "method_not_allowed"),
    ],
)
async def test_wrong_addresses_get_the_same_shape(client, method, path, status, code):
    answer = await client.request(method, path)
    assert (answer.status_code, error_of(answer)["code"]) == (status, code)
    assert error_of(answer)["type"] == "invalid_request_error"
    assert ("allow" in answer.headers) == (status == 405)


@pytest.mark.parametrize("given", ["abc-123_x.Y", "a" * 64])
async def test_request_ids_are_kept(client, given):
    answer = await client.get("/health/live", headers={"x-request-id": given})
    assert answer.headers["x-request-id"] == given


async def test_a_trace_is_the_id_of_a_request_without_one(client):
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    headers = {"traceparent": f"00-{trace}-00f067aa0ba902b7-01"}
    answer = await client.get("/health/live", headers=headers)
    assert answer.headers["x-request-id"] == trace
    answer = await client.get("/health/live", headers=headers | {"x-request-id": "mine"})
    assert answer.headers["x-request-id"] == "mine"
    headers = {"traceparent": f"00-{'0' * 32}-00f067aa0ba902b7-01"}
    answer = await client.get("/health/live", headers=headers)
    assert answer.headers["x-request-id"] != "0" * 32


@pytest.mark.parametrize("given", ["", "a" * 65, "a b", "a\tb", "<script>"])
async def test_odd_request_ids_are_replaced(client, given):
    answer = await client.get("/health/live", headers={"x-request-id": given})
    assert re.fullmatch("[0-9a-f]{32}", answer.headers["x-request-id"])


async def test_the_documentation_needs_nothing_from_elsewhere(client):
    page = (await client.get("/docs")).text
    assert "http://" not in page
    assert "https://" not in page
    sources = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(sources) == 3
    for source in sources:
        assert (await client.get(source)).status_code == 200


async def test_the_schema_tells_the_form_and_every_error(client):
    schema = (await client.get("/openapi.json")).json()
    operation = schema["paths"]["/transcribe"]["post"]
    form = operation["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert form["required"] == ["file"]
    assert set(form["properties"]) == {"file", "language", "model", "decoding", "hot_words"}
    statuses = {"200", "400", "408", "413", "415", "429", "500", "503", "504", "507"}
    assert set(operation["responses"]) == statuses
    for status in statuses - {"200"}:
        content = operation["responses"][status]["content"]["application/json"]
        assert content["schema"]["$ref"].endswith("/ErrorBody")
    assert "422" not in str(schema["paths"])


async def test_the_schema_tells_of_openai_s_routes(client):
    paths = (await client.get("/openapi.json")).json()["paths"]
    operation = paths["/v1/audio/transcriptions"]["post"]
    form = operation["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert form["required"] == ["file"]
    assert {"prompt", "response_format", "timestamp_granularities[]"} <= set(form["properties"])
    statuses = {"200", "400", "404", "408", "413", "415", "429", "500", "503", "504", "507"}
    assert set(operation["responses"]) == statuses
    content = operation["responses"]["200"]["content"]
    texts = {"text/plain", "application/x-subrip", "text/vtt", "text/event-stream"}
    assert set(content) == texts | {"application/json"}
    assert all("good day" in content[kind]["example"] for kind in texts - {"text/event-stream"})
    bodies = [kind["$ref"] for kind in content["application/json"]["schema"]["anyOf"]]
    assert [body.rpartition("/")[2] for body in bodies] == ["TextBody", "VerboseBody"]
    assert set(paths["/v1/audio/translations"]["post"]["responses"]) >= {"400"}
    assert set(paths["/v1/models"]["get"]["responses"]) == {"200", "503"}
    assert set(paths["/v1/models/{id}"]["get"]["responses"]) == {"200", "404", "503"}


async def call(app, messages):
    """Post to /transcribe with what the client sends given as ASGI messages."""
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/transcribe",
        "raw_path": b"/transcribe",
        "root_path": "",
        "query_string": b"",
        "headers": [
            (b"host", b"localhost"),
            (b"content-type", b"multipart/form-data; boundary=x"),
        ],
        "client": ("test", 1),
        "server": ("test", 80),
    }
    sent = []
    waiting = iter(messages)

    async def receive():
        return next(waiting)

    async def send(message):
        sent.append(message)

    await app(scope, receive, send)
    return sent[0]["status"]


async def test_a_client_that_leaves_takes_its_work_along(client, app, monkeypatch):
    body = io.BytesIO()
    body.write(b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\n')
    body.write(GOOD + b"\r\n--x--\r\n")
    cancelled = asyncio.Event()

    async def never(*_, **__):
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    with monkeypatch.context() as patched:
        patched.setattr(app.state.service.models.default.batcher, "submit", never)
        status = await call(
            app,
            [
                {"type": "http.request", "body": body.getvalue(), "more_body": False},
                {"type": "http.disconnect"},
            ],
        )
    assert status == 499
    await assert_still_serves(client)


async def test_a_client_that_leaves_while_sending_is_no_fault(client, app):
    start = {"type": "http.request", "body": b"--x\r\n", "more_body": True}
    assert await call(app, [start, {"type": "http.disconnect"}]) == 499
    await assert_still_serves(client)


async def test_after_chaos_a_good_request_is_still_served(client, app, monkeypatch):
    batcher = app.state.service.models.default.batcher
    submit = batcher.submit

    async def fail_on_long(waveform, **kwargs):
        if waveform.size > 10 * RATE_HZ:
            raise InferenceFailed("the model failed on this audio")
        return await submit(waveform, **kwargs)

    monkeypatch.setattr(batcher, "submit", fail_on_long)
    failing = wav(np.full(11 * RATE_HZ, 0.1, np.float32))
    requests = [
        asyncio.create_task(post(client, content))
        for _ in range(8)
        for content in (GOOD, b"", GOOD[:9000], failing, GOOD)
    ]
    await asyncio.sleep(0)
    for request in requests[4::5]:
        request.cancel()
    await asyncio.wait(requests)
    statuses = [request.result().status_code for request in requests if not request.cancelled()]
    assert statuses == [200, 400, 415, 500] * 8
    await assert_still_serves(client)
