"""Bundles that come, change and go, in the process; every model is loaded for real."""

import asyncio
import json
import threading
import weakref
from contextlib import asynccontextmanager

import pytest
from audio_files import wav
from tiny_bundle import make_bundle, speak

from service.config import Settings
from service.errors import InvalidRequest, ModelUnavailable, Overloaded
from service.lifecycle import Service
from service.options import Options
from service.serving.renewal import Outcome

GOOD = wav(speak("good day"))


@pytest.fixture
def shelf(tmp_path):
    folder = tmp_path / "bundles"
    folder.mkdir()
    make_bundle(folder / "one", name="one")
    make_bundle(folder / "two", name="two", languages=["es"])
    return folder


@asynccontextmanager
async def running(shelf, **settings):
    settings = {"bundle": "one", "device": "cpu", "threads": 1, "sessions": 1} | settings
    service = Service(Settings(bundles_dir=shelf, **settings))
    await service.start()
    yield service
    await service.drain()


def exchange(shelf, name, new):
    (shelf / name).rename(shelf / f".old-{name}")
    new.rename(shelf / name)


def threads():
    return {thread for thread in threading.enumerate() if thread.name.startswith("stt-")}


def sample(service, metric, **labels):
    return service.metrics.registry.get_sample_value(metric, labels)


async def model_of(service, **asked):
    answer = await service.models.transcribe(GOOD, Options(**asked))
    assert answer.transcript.text == "good day"
    return answer.model


async def test_requests_in_flight_go_on_while_a_bundle_is_exchanged_and_the_old_one_is_freed(
    shelf, tmp_path
):
    of_others = threads()
    async with running(shelf) as service:
        await asyncio.gather(*(model_of(service) for _ in range(20)))
        of_the_old = threads() - of_others
        old = weakref.ref(service.models.default.parts.loaded.model)
        kept = service.models.use(Options())
        first = await kept.__aenter__()
        answers = [asyncio.create_task(model_of(service)) for _ in range(20)]
        exchange(shelf, "one", make_bundle(tmp_path / "new", name="newer"))
        (change,) = await service.renewal.look()
        answers += [asyncio.create_task(model_of(service)) for _ in range(20)]
        assert (change.folder, change.outcome, change.model) == ("one", Outcome.LOADED, "newer")
        names = await asyncio.gather(*answers)
        assert set(names[:20]) <= {"one", "newer"}
        assert set(names[20:]) == {"newer"}
        assert (await first.transcriber.transcribe(GOOD)).transcript.text == "good day"
        assert old() is not None
        assert sample(service, "stt_model_memory_bytes", model="one") is None
        assert sample(service, "stt_sessions") == 2
        del first
        await kept.__aexit__(None, None, None)
        del kept
        await service.models.workforce.left()
        assert old() is None
        assert of_the_old
        async with asyncio.timeout(30):
            while threads() & of_the_old:  # noqa: ASYNC110  they end on their own
                await asyncio.sleep(0.01)


async def test_a_bundle_that_is_being_copied_or_broken_is_not_taken(shelf, tmp_path, caplog):
    async with running(shelf) as service:
        await service.renewal.look(only_settled=True)
        manifest = json.loads((shelf / "two" / "bundle.json").read_text())
        manifest["files"]["model.onnx"] = "0" * 64
        (shelf / "two" / "bundle.json").write_text(json.dumps(manifest))
        assert await service.renewal.look(only_settled=True) == []  # perhaps somebody copies
        (change,) = await service.renewal.look(only_settled=True)
        assert (change.outcome, change.model) == (Outcome.FAILED, "two")
        assert "is damaged" in change.message
        assert await service.renewal.look(only_settled=True) == []  # told once
        assert [record.levelname for record in caplog.records] == ["ERROR"]
        assert sample(service, "stt_bundle_loads_total", outcome="failed") == 1
        assert await model_of(service, language="es") == "two"
        exchange(shelf, "two", make_bundle(tmp_path / "new", name="two", languages=["es", "gl"]))
        (change,) = await service.renewal.look()
        assert change.outcome == Outcome.LOADED
        assert await model_of(service, language="gl") == "two"


async def test_bundles_come_and_go_but_the_default_stays(shelf, tmp_path):
    async with running(shelf) as service:
        make_bundle(tmp_path / "new", name="three", languages=["fr"]).rename(shelf / "new")
        make_bundle(tmp_path / "again", name="two").rename(shelf / "again")
        changes = {change.folder: change for change in await service.renewal.look()}
        assert changes["new"].outcome == Outcome.LOADED
        assert "name 'two' is taken" in changes["again"].message
        assert service.models.offers.names == ("one", "three", "two")
        for name in ("one", "new"):
            (shelf / name).rename(shelf / f".{name}")
        changes = await service.renewal.look()
        assert [change for change in changes if change.outcome == Outcome.REMOVED] == [
            ("new", Outcome.REMOVED, None, None)
        ]
        assert await model_of(service) == "one"
        with pytest.raises(InvalidRequest, match="there is one, two"):
            await model_of(service, model="three")


async def test_on_demand_one_that_is_idle_makes_room(shelf):
    make_bundle(shelf / "three", name="three")
    settings = {"bundles_load": "demand", "max_loaded_bundles": 2}
    async with running(shelf, **settings) as service:
        models = service.models
        assert [model.offer.name for model in models.loaded] == ["one"]
        assert await asyncio.gather(*(model_of(service, model="two") for _ in range(5))) == 5 * [
            "two"
        ]
        assert sample(service, "stt_bundle_loads_total", outcome="loaded") == 2
        async with models.use(Options(model="two")):
            with pytest.raises(Overloaded, match="2 models are loaded and in use"):
                await model_of(service, model="three")
        assert sample(service, "stt_rejected_total", reason="models_in_use") == 1
        assert await model_of(service, model="three") == "three"
        assert [model.offer.name for model in models.loaded] == ["one", "three"]


async def test_on_demand_a_damaged_bundle_concerns_only_who_asks_for_it(shelf):
    (shelf / "two" / "model.onnx").write_bytes(b"damaged")
    async with running(shelf, bundles_load="demand") as service:
        with pytest.raises(ModelUnavailable, match="'two' cannot be loaded now"):
            await model_of(service, model="two")
        assert await model_of(service) == "one"
        assert sample(service, "stt_ready") == 1


async def test_the_folder_is_watched(shelf, tmp_path):
    async with running(shelf, bundles_poll_s=0.01) as service:
        make_bundle(tmp_path / "new", name="three").rename(shelf / "three")
        async with asyncio.timeout(30):
            while "three" not in service.models.offers.names:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert await model_of(service, model="three") == "three"
