import asyncio
import json
import shutil
from dataclasses import replace

import pytest
from audio_files import wav
from tiny_bundle import make_bundle, make_streaming_bundle, speak

from service.backends import load_model
from service.batcher import Batcher
from service.bundle import load_bundle
from service.config import Settings
from service.errors import DeviceLost, InvalidBundle, NotReady, Overloaded
from service.lifecycle import Service, State
from service.options import Options


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_bundle(tmp_path_factory.mktemp("bundles") / "tiny")


@pytest.fixture
def service(folder):
    return Service(Settings(bundle=folder, device="cpu", threads=1, max_requests=2))


def sample(service, metric, **labels):
    return service.metrics.registry.get_sample_value(metric, labels)


async def test_it_is_not_ready_until_the_bundle_is_loaded(service):
    with pytest.raises(NotReady, match="being loaded"), service.admit():
        pass
    assert sample(service, "stt_rejected_total", reason="not_ready") == 1
    assert sample(service, "stt_ready") == 0
    await service.start()
    assert sample(service, "stt_ready") == 1
    with service.admit() as transcriber:
        assert (await transcriber.transcribe(wav(speak("a b")))).transcript.text == "a b"
    await service.drain()


async def test_what_is_served_is_described(service, folder):
    await service.start()
    parts = service.models.default.parts
    assert parts.bundle.folder == folder
    labels = {
        "name": "tiny",
        "file": "model.onnx",
        "runtime": "onnxruntime",
        "precision": "float32",
        "device": "cpu",
    }
    assert sample(service, "stt_model_info", **labels) == 1
    assert sample(service, "stt_sessions") == parts.loaded.sessions
    assert sample(service, "stt_max_streams") == service.settings.max_streams
    assert sample(service, "stt_model_memory_bytes", model="tiny") >= 0
    await service.drain()


async def test_only_so_many_requests_are_inside(service):
    await service.start()
    with service.admit(), service.admit():
        with pytest.raises(Overloaded) as caught, service.admit():
            pass
        assert (caught.value.found, caught.value.limit) == (2, 2)
    assert sample(service, "stt_rejected_total", reason="queue_full") == 1
    with service.admit():
        pass
    await service.drain()


async def test_a_lost_device_is_told_to_whoever_watches_the_process(service, monkeypatch):
    def lose(waveforms, lengths):
        raise DeviceLost("planned loss")

    service.check_alive()
    await service.start()
    service.check_alive()
    monkeypatch.setattr(service.models.default.parts.loaded.model, "infer", lose)
    with service.admit() as transcriber, pytest.raises(DeviceLost):
        await transcriber.transcribe(wav(speak("ab")))
    for ask in (service.ready, service.check_alive):
        with pytest.raises(NotReady, match="the device broke"):
            ask()
    await service.drain()


@pytest.mark.parametrize(("sessions", "max_wait_ms"), [(1, 7), (2, 0)])
async def test_the_batcher_is_bounded_by_settings_and_model(
    folder, monkeypatch, sessions, max_wait_ms
):
    made = []

    def batcher(model, limits, metrics):
        made.append(limits)
        return Batcher(model, limits, metrics)

    monkeypatch.setattr("service.serving.model.Batcher", batcher)
    bundle = load_bundle(folder)
    loaded = load_model(bundle, device="cpu", threads=1)
    loaded = replace(loaded, sessions=sessions, max_batch_samples=320_000)
    monkeypatch.setattr("service.loading.load_model", lambda *_, **__: loaded)
    service = Service(Settings(bundle=folder, max_wait_ms=7, max_padding_ratio=0.1))
    await service.start()
    await service.drain()
    (limits,) = made
    assert (limits.sessions, limits.max_wait_ms) == (sessions, max_wait_ms)
    assert (limits.max_batch_samples, limits.budget.max_padding_ratio) == (320_000, 0.1)


async def test_streams_are_heard_as_the_bundle_allows_and_refused_while_draining(folder, tmp_path):
    streaming = make_streaming_bundle(tmp_path / "streaming")
    for bundle, kind in ((folder, "windowed"), (streaming, "incremental")):
        service = Service(Settings(bundle=bundle, device="cpu", threads=1))
        with pytest.raises(NotReady, match="being loaded"):
            service.ready_for_streams()
        await service.start()
        streams = service.ready_for_streams()
        async with streams.engine(Options()) as engine:
            assert engine.kind == kind
        await service.drain()
        with pytest.raises(NotReady, match="last streams"), streams.seat():
            pass
        assert sample(service, "stt_active_streams") == 0
        assert sample(service, "stt_rejected_total", reason="not_ready") == 2


async def test_draining_refuses_new_requests_and_finishes_accepted_ones(service):
    await service.start()
    with service.admit() as transcriber:
        draining = asyncio.create_task(service.drain())
        await asyncio.sleep(0)
        with pytest.raises(NotReady, match="last requests"), service.admit():
            pass
        assert (await transcriber.transcribe(wav(speak("ab")))).transcript.text == "ab"
        assert not draining.done()
    await draining


async def test_draining_waits_no_longer_than_the_grace(folder):
    service = Service(Settings(bundle=folder, device="cpu", shutdown_grace_s=0))
    await service.start()
    with service.admit():
        await service.drain()
        assert service.state is State.DRAINING


async def test_draining_while_loading_starts_nothing(service):
    loading = asyncio.create_task(service.start())
    await asyncio.sleep(0)
    await service.drain()
    await loading
    assert service.state is State.DRAINING


def damage_model(folder):
    with (folder / "model.onnx").open("r+b") as file:
        file.seek(100)
        file.write(b"\xff" * 10)


def another_rate(folder):
    manifest = json.loads((folder / "bundle.json").read_text())
    manifest["sample_rate_hz"] = 8000
    (folder / "bundle.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (damage_model, "damaged"),
        (another_rate, "only 16000 Hz"),
        (lambda folder: (folder / "golden.npz").unlink(), "missing"),
        (lambda folder: (folder / "bundle.json").write_text("{}"), "not a valid manifest"),
        (shutil.rmtree, "not a bundle"),
    ],
)
async def test_a_bundle_that_cannot_be_served_is_a_clear_error(folder, tmp_path, harm, told):
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    harm(copy)
    service = Service(Settings(bundle=copy, device="cpu"))
    with pytest.raises(InvalidBundle, match=told):
        await service.start()
    assert service.state is State.FAILED
    with pytest.raises(NotReady, match="could not be loaded"):
        service.ready()
    await service.drain()
    assert service.state is State.FAILED


async def test_a_missing_runtime_tells_what_to_install(service, monkeypatch):
    def load_model(*_, **__):
        raise ImportError("No module named 'onnxruntime'")

    monkeypatch.setattr("service.loading.load_model", load_model)
    with pytest.raises(InvalidBundle, match="extra cpu"):
        await service.start()
