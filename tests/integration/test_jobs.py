"""Jobs over HTTP in process, around a model whose transcripts are known."""

import asyncio
import re
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from threading import Event

import httpx
import pytest
from audio_files import wav
from patience import PATIENCE_S
from tiny_bundle import make_bundle, speak

from service.app import create_app
from service.batcher import Lane
from service.config import Settings
from service.jobs import jobs as jobs_module
from service.jobs import runner as runner_module
from service.lifecycle import Service

TEXT = "good morning"
GOOD = wav(speak(TEXT))
MAX_UPLOAD_BYTES = 1_000_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_bundle(tmp_path_factory.mktemp("bundles") / "tiny")


@pytest.fixture(autouse=True)
def _no_second_look(monkeypatch):
    """A job that is not begun at once is never begun."""
    monkeypatch.setattr(runner_module, "RETRY_S", 3600)


@pytest.fixture
def settings(folder, tmp_path):
    return Settings(
        bundle=folder,
        device="cpu",
        threads=1,
        sessions=1,  # so that one inference can hold up all
        jobs_dir=tmp_path / "jobs",
        max_upload_bytes=MAX_UPLOAD_BYTES,
        max_jobs=3,
        max_jobs_bytes=2 * MAX_UPLOAD_BYTES,
    )


@pytest.fixture
def full_disk():
    with open("/dev/full", "wb") as file:
        yield file


@asynccontextmanager
async def serving(settings):
    app = create_app(settings)
    service = app.state.service
    await service.start()
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        client.service = service
        yield client
    await service.drain()


@pytest.fixture
async def client(settings):
    async with serving(settings) as client:
        yield client


@pytest.fixture
def stuck(monkeypatch):
    """Jobs stay in work, as if their audio were very long."""

    async def never(_, source, asked, *, progress, **__):
        progress(1.0, 3600.0)
        await asyncio.Event().wait()

    monkeypatch.setattr("service.transcriber.Transcriber.transcribe", never)


async def post(client, content=GOOD, **kwargs):
    return await client.post("/jobs", files={"file": ("audio", content)}, **kwargs)


async def posted(client, content=GOOD):
    answer = await post(client, content)
    assert answer.status_code == 202, answer.text
    return answer.headers["location"]


async def until(client, location, *statuses):
    async with asyncio.timeout(PATIENCE_S):
        while (body := (await client.get(location)).json())["status"] not in statuses:
            pass
    return body


def error_of(answer):
    return answer.json()["error"]


async def assert_refused(answer, status, code):
    assert (answer.status_code, error_of(answer)["code"]) == (status, code)


async def test_a_file_left_is_transcribed(client):
    answer = await post(client, data={"language": "en", "model": "tiny"})
    accepted = answer.json()
    assert answer.status_code == 202
    assert answer.headers["location"] == f"/jobs/{accepted['id']}"
    assert re.fullmatch("[0-9a-f]{32}", accepted["id"])
    assert (accepted["status"], accepted["result"], accepted["error"]) == ("queued", None, None)

    body = await until(client, answer.headers["location"], "done")
    result = body["result"]
    direct = (await client.post("/transcribe", files={"file": GOOD})).json()
    assert list(result) == list(direct)
    assert (result["text"], result["words"]) == (TEXT, direct["words"])
    assert result["request_id"] == answer.headers["x-request-id"]
    assert body["progress"] == {"done_s": result["duration_s"], "duration_s": result["duration_s"]}
    events = ("created", "started", "finished")
    times = [datetime.fromisoformat(body[f"{event}_at"]) for event in events]
    assert times == sorted(times)
    assert {time.utcoffset() for time in times} == {timedelta(0)}


async def test_a_file_that_is_no_audio_fails_its_job(client, tmp_path):
    body = await until(client, await posted(client, b"good morning\n" * 99), "failed")
    assert body["result"] is None
    assert (body["error"]["code"], body["error"]["type"]) == (
        "unsupported_audio",
        "invalid_request_error",
    )
    assert list((tmp_path / "jobs" / "uploads").iterdir()) == []


async def test_a_waiting_job_is_cancelled_and_then_forgotten(client, stuck, tmp_path):
    running, waiting = await posted(client), await posted(client)
    await until(client, running, "running")
    assert (await client.delete(waiting)).status_code == 204
    body = (await client.get(waiting)).json()
    assert (body["status"], body["progress"]) == ("cancelled", None)
    assert body["finished_at"] is not None
    assert [path.name for path in (tmp_path / "jobs" / "uploads").iterdir()] == [running[6:]]
    assert (await client.delete(waiting)).status_code == 204
    await assert_refused(await client.get(waiting), 404, "job_not_found")
    await assert_refused(await client.delete(waiting), 404, "job_not_found")


async def test_a_running_job_is_cancelled(client, stuck, tmp_path, monkeypatch):
    location = await posted(client)
    async with asyncio.timeout(PATIENCE_S):
        while not (body := await until(client, location, "running"))["progress"]:
            pass
    assert body["started_at"] is not None
    assert body["progress"] == {"done_s": 1.0, "duration_s": 3600.0}
    assert (await client.delete(location)).status_code == 204
    assert (await client.get(location)).json()["status"] == "cancelled"
    assert list((tmp_path / "jobs" / "uploads").iterdir()) == []
    monkeypatch.undo()
    assert (await until(client, await posted(client), "done"))["result"]["text"] == TEXT


async def test_segments_of_a_cancelled_job_leave_the_queue(client, monkeypatch):
    served = client.service.models.default
    model, batcher = served.parts.loaded.model, served.batcher
    infer, gate, entered = model.infer, Event(), Event()

    def held(waveforms, lengths):
        entered.set()
        assert gate.wait(PATIENCE_S)
        return infer(waveforms, lengths)

    monkeypatch.setattr(model, "infer", held)
    running = asyncio.create_task(batcher.submit(speak(TEXT)))
    try:
        assert await asyncio.to_thread(entered.wait, PATIENCE_S)
        location = await posted(client)
        async with asyncio.timeout(PATIENCE_S):
            while not batcher.ahead_s(Lane.BULK):  # noqa: ASYNC110 (a queue without an event)
                await asyncio.sleep(0.001)
        assert (await client.delete(location)).status_code == 204
        assert batcher.ahead_s(Lane.BULK) == 0
    finally:
        gate.set()
    await running


async def test_an_unknown_job_is_told(client):
    for path in ("/jobs/0", "/jobs/jobs.db", f"/jobs/{'0' * 32}"):
        await assert_refused(await client.get(path), 404, "job_not_found")
    assert (await client.get("/jobs")).status_code == 405  # there is no list: ids are secrets


async def test_what_can_be_told_at_once_is_told_at_once(client, tmp_path):
    bad = {"language": "klingon"}
    await assert_refused(await post(client, data=bad), 400, "invalid_request")
    await assert_refused(await post(client, data={"model": "other"}), 400, "invalid_request")
    await assert_refused(await client.post("/jobs", content=GOOD), 400, "invalid_request")
    too_large = await post(client, bytes(MAX_UPLOAD_BYTES))
    await assert_refused(too_large, 413, "upload_too_large")
    assert list((tmp_path / "jobs" / "uploads").iterdir()) == []


async def test_only_so_many_jobs_wait_or_run(client, stuck):
    locations = [await posted(client) for _ in range(3)]
    answer = await post(client)
    await assert_refused(answer, 429, "overloaded")
    assert (error_of(answer)["found"], error_of(answer)["limit"]) == (3, 3)
    assert int(answer.headers["retry-after"]) >= 1
    await client.delete(locations[1])
    await posted(client)


async def test_only_so_many_bytes_are_kept(client, stuck):
    large = bytes(MAX_UPLOAD_BYTES - 5000)
    locations = [await posted(client, large) for _ in range(2)]
    answer = await post(client, large)
    await assert_refused(answer, 429, "overloaded")
    assert error_of(answer)["limit"] == 2 * MAX_UPLOAD_BYTES
    await client.delete(locations[0])
    await posted(client, large)


async def test_uploads_on_their_way_hold_their_places(client, stuck):
    go_on = asyncio.Event()

    async def slow():
        yield b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\n'
        await go_on.wait()
        yield GOOD + b"\r\n--x--\r\n"

    headers = {"content-type": "multipart/form-data; boundary=x", "content-length": "900000"}
    arriving = [
        asyncio.create_task(client.post("/jobs", content=slow(), headers=headers)) for _ in range(2)
    ]
    async with asyncio.timeout(PATIENCE_S):
        while len(client.service.jobs._arriving_bytes) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
    big = {"content-type": "multipart/form-data; boundary=x", "content-length": "300000"}
    answer = await client.post("/jobs", content=slow(), headers=big)
    await assert_refused(answer, 429, "overloaded")
    go_on.set()
    assert [(await one).status_code for one in arriving] == [202, 202]


async def test_a_full_disk_is_told(client, full_disk, monkeypatch):
    monkeypatch.setattr("service.jobs.files.JobFiles.create_part", lambda *_: full_disk)
    await assert_refused(await post(client), 507, "storage_full")
    monkeypatch.undo()
    await until(client, await posted(client), "done")


async def test_ended_jobs_are_forgotten_after_their_time(settings, monkeypatch):
    monkeypatch.setattr(jobs_module, "LOOK_AFTER_S", 0.001)
    async with serving(settings.model_copy(update={"job_ttl_s": 0.001})) as client:
        location = await posted(client)
        async with asyncio.timeout(PATIENCE_S):
            while (await client.get(location)).status_code != 404:
                pass
        async with asyncio.timeout(PATIENCE_S):
            while await client.service.jobs._store.call(lambda store: store.load()) != (0, 0):
                pass


async def test_a_folder_that_cannot_be_used_costs_the_jobs_only(settings, tmp_path, caplog):
    (tmp_path / "file").touch()
    async with serving(settings.model_copy(update={"jobs_dir": tmp_path / "file"})) as client:
        answer = await post(client)
        await assert_refused(answer, 503, "jobs_unavailable")
        assert str(tmp_path) not in answer.text
        assert str(tmp_path / "file") in caplog.text
        await assert_refused(await client.get("/jobs/0"), 503, "jobs_unavailable")
        assert (await client.post("/transcribe", files={"file": GOOD})).status_code == 200


async def test_a_second_process_serves_all_but_jobs_until_the_first_is_gone(
    settings, stuck, monkeypatch
):
    monkeypatch.setattr(jobs_module, "LOOK_AFTER_S", 0.001)
    async with serving(settings) as first:
        location = await posted(first)
        await until(first, location, "running")
        monkeypatch.undo()
        monkeypatch.setattr(jobs_module, "LOOK_AFTER_S", 0.001)
        monkeypatch.setattr(runner_module, "RETRY_S", 3600)
        after = serving(settings)
        second = await after.__aenter__()
        await assert_refused(await post(second), 503, "jobs_unavailable")
        assert (await second.post("/transcribe", files={"file": GOOD})).status_code == 200
    async with asyncio.timeout(PATIENCE_S):
        while (await second.get(location)).status_code != 200:
            pass
    assert (await until(second, location, "done"))["result"]["text"] == TEXT
    await after.__aexit__(None, None, None)


async def test_draining_puts_the_running_job_back(settings, stuck, monkeypatch):
    async with serving(settings) as client:
        location = await posted(client)
        await until(client, location, "running")
    monkeypatch.undo()
    async with serving(settings) as client:
        body = await until(client, location, "done")
    assert body["result"]["text"] == TEXT


async def test_a_draining_service_takes_no_jobs(client):
    draining = asyncio.create_task(client.service.drain())
    await asyncio.sleep(0)
    await assert_refused(await post(client), 503, "not_ready")
    await draining


async def test_a_command_leaves_the_folder_alone(settings):
    service = Service(settings)
    await service.start()
    await service.drain()
    assert not settings.jobs_dir.exists()


async def test_metrics_name_the_route_and_not_the_job(client):
    location = await posted(client)
    await until(client, location, "done")
    await client.get("/jobs/0")
    text = (await client.get("/metrics")).text
    assert 'stt_requests_total{endpoint="/jobs",status="202"} 1.0' in text
    assert 'stt_requests_total{endpoint="/jobs/{id}",status="404"} 1.0' in text
    assert 'stt_jobs_finished_total{outcome="done"} 1.0' in text
    assert 'stt_jobs{status="queued"} 0.0' in text
    assert location[6:] not in text


async def test_the_schema_tells_the_form_the_location_and_every_error(client):
    schema = (await client.get("/openapi.json")).json()
    post, one = schema["paths"]["/jobs"]["post"], schema["paths"]["/jobs/{id}"]
    form = post["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert set(form["properties"]) == {"file", "language", "model", "decoding", "hot_words"}
    statuses = {"202", "400", "408", "413", "429", "503", "504", "507"}
    assert set(post["responses"]) == statuses
    assert "Location" in post["responses"]["202"]["headers"]
    assert set(one["get"]["responses"]) == {"200", "404", "503"}
    assert set(one["delete"]["responses"]) == {"204", "404", "503"}
    for operation in one.values():
        assert [parameter["name"] for parameter in operation["parameters"]] == ["id"]
    assert "422" not in str(schema["paths"])
