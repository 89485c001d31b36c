import asyncio
import signal

import pytest
from patience import PATIENCE_S
from tiny_bundle import make_bundle

from service.app import create_app
from service.config import Settings
from service.lifecycle import State


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_bundle(tmp_path_factory.mktemp("bundles") / "tiny")


async def left(state, service):
    async with asyncio.timeout(PATIENCE_S):
        while service.state is state:  # noqa: ASYNC110 (loading runs in a thread)
            await asyncio.sleep(0.001)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_drains_first_and_stops_then(folder, number):
    stopped = asyncio.Event()
    app = create_app(Settings(bundle=folder, device="cpu"), stop=stopped.set)
    service = app.state.service
    async with app.router.lifespan_context(app):
        await left(State.LOADING, service)
        assert service.state is State.READY
        with service.admit():
            signal.raise_signal(number)
            await left(State.READY, service)
            assert not stopped.is_set()
        async with asyncio.timeout(PATIENCE_S):
            await stopped.wait()
    assert service.state is State.DRAINING


async def test_a_second_signal_stops_at_once(folder):
    stopped = asyncio.Event()
    app = create_app(Settings(bundle=folder, device="cpu"), stop=stopped.set)
    service = app.state.service
    async with app.router.lifespan_context(app):
        await left(State.LOADING, service)
        with service.admit():
            signal.raise_signal(signal.SIGTERM)
            await left(State.READY, service)
            signal.raise_signal(signal.SIGTERM)
            async with asyncio.timeout(PATIENCE_S):
                await stopped.wait()


async def test_a_bundle_that_cannot_be_loaded_stops_the_server(tmp_path, caplog):
    stopped = asyncio.Event()
    app = create_app(Settings(bundle=tmp_path), stop=stopped.set)
    async with app.router.lifespan_context(app), asyncio.timeout(PATIENCE_S):
        await stopped.wait()
    assert app.state.service.state is State.FAILED
    assert "is not a bundle" in caplog.text


async def test_without_a_way_to_stop_signals_are_left_alone(tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    app = create_app(Settings(bundle=tmp_path))
    async with app.router.lifespan_context(app):
        await left(State.LOADING, app.state.service)
        assert signal.getsignal(signal.SIGTERM) is before
    assert app.state.service.state is State.FAILED
