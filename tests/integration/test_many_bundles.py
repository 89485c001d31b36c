"""Several bundles in one server process, on a real socket, while their folders change."""

import time
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import httpx
import pytest
from audio_files import wav
from keys import make_keys
from patience import PATIENCE_S
from server_process import serving
from socket_client import pcm, silence, streaming
from tiny_bundle import make_bundle, make_streaming_bundle, speak, speak_to_graph

from service.access.keys import Role

TEXT = "good day"
GOOD = wav(speak(TEXT))
POLL_S = 0.2
CLIENTS = 4


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    """English, the default; Spanish with a streaming graph; and two of Norwegian."""
    folder = tmp_path_factory.mktemp("bundles")
    make_bundle(folder / "en", name="english")
    make_streaming_bundle(folder / "es", name="spanish", languages=["es"])
    make_bundle(folder / "nb", name="bokmaal", languages=["no", "nb"])
    make_bundle(folder / "nn", name="nynorsk", languages=["no", "nn"])
    return folder


@pytest.fixture(scope="module")
def server(shelf, tmp_path_factory):
    settings = {"STT_BUNDLES_DIR": str(shelf), "STT_BUNDLES_POLL_S": str(POLL_S)}
    settings["STT_JOBS_DIR"] = str(tmp_path_factory.mktemp("jobs"))
    with serving("en", STT_SESSIONS="1", STT_THREADS="1", **settings) as client:
        yield client


def ask(client, path="/transcribe", **data):
    return client.post(path, files={"file": ("a.wav", GOOD)}, data=data)


@pytest.mark.parametrize(
    ("asked", "model", "language"),
    [
        ({}, "english", "en"),
        ({"language": "es"}, "spanish", "es"),
        ({"model": "spanish"}, "spanish", "es"),
        ({"language": "nb"}, "bokmaal", "nb"),
        ({"language": "no", "model": "nynorsk"}, "nynorsk", "no"),
    ],
)
def test_a_model_is_asked_for_by_its_name_or_its_language(server, asked, model, language):
    body = ask(server, **asked).json()
    assert (body["text"], body["model"], body["language"]) == (TEXT, model, language)


@pytest.mark.parametrize(
    ("path", "asked", "status", "code", "limit"),
    [
        ("/transcribe", {"model": "whisper-1"}, 400, "invalid_request", "spanish"),
        ("/transcribe", {"language": "fi"}, 400, "invalid_request", "nn"),
        ("/transcribe", {"language": "no"}, 400, "invalid_request", "nynorsk"),
        ("/transcribe", {"language": "es", "model": "english"}, 400, "invalid_request", "en"),
        ("/jobs", {"model": "finnish"}, 400, "invalid_request", "spanish"),
        ("/v1/audio/transcriptions", {"model": "finnish"}, 404, "model_not_found", "spanish"),
        ("/v1/audio/transcriptions", {"language": "fi"}, 400, "invalid_request", "es"),
    ],
)
def test_what_is_not_served_is_refused_with_what_is(server, path, asked, status, code, limit):
    answer = ask(server, path, **asked)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (status, code)
    assert limit in error["limit"]
    assert limit in error["message"]


def test_openai_s_names_leave_it_to_the_language(server):
    for asked, language in (
        ({"model": "whisper-1"}, "en"),
        ({"model": "whisper-1", "language": "es-MX"}, "es"),
        ({"model": "spanish"}, "es"),
    ):
        answer = ask(server, "/v1/audio/transcriptions", response_format="verbose_json", **asked)
        assert answer.json()["language"] == language


def test_all_are_listed(server):
    names = ["english", "spanish", "bokmaal", "nynorsk"]
    assert [model["id"] for model in server.get("/v1/models").json()["data"]] == names
    assert server.get("/v1/models/nynorsk").json()["id"] == "nynorsk"
    assert server.get("/v1/models/whisper-1").json()["id"] == "english"
    version = server.get("/version").json()
    assert [model["name"] for model in version["models"]] == names
    assert version["model"]["name"] == "english"
    metrics = server.get("/metrics").text
    assert all(f'stt_model_memory_bytes{{model="{name}"}}' in metrics for name in names)
    assert 'name="spanish"' in metrics
    assert "stt_sessions 4.0" in metrics


def test_a_job_is_done_by_the_model_that_it_asks_for(server):
    place = ask(server, "/jobs", language="es").headers["location"]
    while (job := server.get(place).json())["status"] in {"queued", "running"}:
        time.sleep(0.05)
    assert job["result"]["model"] == "spanish"


@pytest.mark.parametrize(
    ("asked", "kind", "say"),
    [
        ({}, "windowed", speak),
        ({"language": "es"}, "incremental", speak_to_graph),
        ({"model": "spanish"}, "incremental", speak_to_graph),
    ],
)
async def test_a_stream_is_heard_by_the_model_that_it_asks_for(server, asked, kind, say):
    async with streaming(server) as client:
        assert (await client.begin(**asked))["kind"] == kind
        await client.send(pcm(say(TEXT)))
        await client.say("stop")
        assert (await client.until("final"))["text"] == TEXT


@pytest.mark.parametrize(
    ("query", "model"), [("model=nova-3&language=es-MX", "spanish"), ("model=nynorsk", "nynorsk")]
)
async def test_deepgram_s_clients_may_name_models_of_theirs_and_ours(server, query, model):
    say = speak_to_graph if model == "spanish" else speak
    async with streaming(server, f"/v1/listen?encoding=linear16&{query}") as client:
        await client.send(pcm(say(TEXT)) + pcm(silence(1)))
        result = await client.next()
        assert result["channel"]["alternatives"][0]["transcript"] == TEXT
        assert result["metadata"]["model_info"]["name"] == model
    async with streaming(server, "/v1/listen?encoding=linear16&model=finnish") as client:
        (error,) = await client.rest()
    assert "there is english, bokmaal, nynorsk, spanish" in error["message"]
    assert client.close_code == 1008


def test_no_request_is_dropped_while_the_default_is_exchanged(server, shelf, tmp_path):
    stop = Event()

    def ask_on():
        answers = []
        with httpx.Client(base_url=server.base_url, timeout=PATIENCE_S) as client:
            while not stop.is_set():
                answer = ask(client)
                answers.append((answer.status_code, answer.json().get("model")))
        return answers

    with ThreadPoolExecutor(CLIENTS) as threads:
        asking = [threads.submit(ask_on) for _ in range(CLIENTS)]
        try:
            for name in ("second", "third", "english"):
                make_bundle(tmp_path / name, name=name)
                (shelf / "en").rename(tmp_path / f"before {name}")
                (tmp_path / name).rename(shelf / "en")
                while server.get("/version").json()["model"]["name"] != name:
                    time.sleep(0.05)
        finally:
            stop.set()
        answers = [answer for one in asking for answer in one.result()]
    assert {status for status, _ in answers} == {200}
    assert {"english", "second", "third"} <= {model for _, model in answers}


def test_operators_may_have_the_folders_looked_into_now(shelf, tmp_path):
    roles = {"app": {}, "operator": {"roles": (Role.ADMIN, Role.TRANSCRIBE)}}
    keys = make_keys(tmp_path / "keys.json", roles)
    settings = {"STT_BUNDLES_DIR": str(tmp_path), "STT_BUNDLES_POLL_S": "0"}
    with serving(shelf / "en", STT_API_KEYS_FILE=str(tmp_path / "keys.json"), **settings) as client:
        assert client.post("/admin/reload").status_code == 401
        client.headers = {"Authorization": f"Bearer {keys['app']}"}
        assert client.post("/admin/reload").status_code == 403
        client.headers = {"Authorization": f"Bearer {keys['operator']}"}
        make_bundle(tmp_path / "good", name="good", languages=["fi"])
        make_bundle(tmp_path / "broken", name="broken", files={})
        broken, good = client.post("/admin/reload").json()["changes"]
        assert good == {"folder": "good", "outcome": "loaded", "model": "good", "message": None}
        assert (broken["outcome"], broken["model"]) == ("failed", None)
        assert "no digest for" in broken["message"]
        assert ask(client, language="fi").json()["model"] == "good"
        (again,) = client.post("/admin/reload").json()["changes"]  # what is broken is tried again
        assert again["folder"] == "broken"


def test_without_keys_nobody_is_an_operator(server):
    answer = server.post("/admin/reload")
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "forbidden")


def test_a_broken_bundle_changes_nothing(server, shelf):
    (shelf / "es" / "model.onnx").write_bytes(b"half of it")
    failed = 'stt_bundle_loads_total{outcome="failed"} 1.0'
    while failed not in server.get("/metrics").text:
        time.sleep(0.05)
    assert ask(server, language="es").json()["text"] == TEXT
    assert server.get("/health/ready").status_code == 200
