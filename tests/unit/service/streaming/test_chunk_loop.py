import asyncio
import threading

import numpy as np
import pytest
from patience import PATIENCE_S
from prometheus_client import CollectorRegistry

from service.backends.base import ChunkOutput
from service.errors import DeviceLost, InferenceFailed, NotReady
from service.metrics import Metrics
from service.streaming.chunk_loop import ChunkLoop

FAILS, LOSES_THE_DEVICE, NOT_FINITE = -1.0, -2.0, -3.0


class SumModel:
    """Answers with each row's state plus its samples, which is its next state; can be held."""

    def __init__(self):
        self.batches = []
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Semaphore(0)

    def infer(self, waveforms, lengths, states):
        self.batches.append(waveforms[:, 0].tolist())
        self.entered.release()
        assert self.gate.wait(PATIENCE_S)
        marks = waveforms[:, 0]
        if FAILS in marks:
            raise RuntimeError("planned failure")
        if LOSES_THE_DEVICE in marks:
            raise DeviceLost("planned loss")
        sums = states["sum"] + waveforms.sum(axis=1, keepdims=True)
        logits = np.where(marks == NOT_FINITE, np.nan, sums[:, 0])
        logits = np.repeat(logits[:, np.newaxis, np.newaxis], 4, axis=1)
        return ChunkOutput(logits.astype(np.float32), lengths // 2, {"sum": sums})


@pytest.fixture
def model():
    return SumModel()


@pytest.fixture
def registry():
    return CollectorRegistry()


@pytest.fixture
def loop(model, registry):
    return ChunkLoop(model, 3, Metrics(registry))


def submit(loop, mark, state=0.0, length=8):
    waveform = np.full(8, mark, np.float32)
    return loop.submit(waveform, length, {"sum": np.array([state], np.float32)})


async def test_a_chunk_gets_its_valid_frames_and_its_next_state(loop):
    result = await submit(loop, 1.0, state=5.0, length=6)
    assert result.logits.tolist() == [[13.0]] * 3
    assert result.state["sum"].tolist() == [13.0]


async def test_a_graph_that_hangs_is_given_up(model, registry):
    loop = ChunkLoop(model, 3, Metrics(registry), timeout_s=0.05)
    model.gate.clear()
    with pytest.raises(DeviceLost):
        await submit(loop, 1.0)
    assert loop.device_is_lost
    model.gate.set()
    await loop.close()


async def test_what_waits_while_the_graph_is_busy_is_one_batch_up_to_the_bound(loop, model):
    model.gate.clear()
    first = asyncio.create_task(submit(loop, 1.0))
    assert await asyncio.to_thread(model.entered.acquire, timeout=PATIENCE_S)
    others = [asyncio.create_task(submit(loop, mark)) for mark in (2.0, 3.0, 4.0, 5.0)]
    await asyncio.sleep(0)
    model.gate.set()
    results = await asyncio.gather(first, *others)
    assert model.batches == [[1.0], [2.0, 3.0, 4.0], [5.0]]
    assert [result.state["sum"][0] for result in results] == [8, 16, 24, 32, 40]


async def test_batches_are_measured(loop, registry):
    await submit(loop, 1.0, length=6)
    for name, expected in {"batch_size": 1.0, "batch_audio_seconds": 6 / 16_000}.items():
        assert registry.get_sample_value(f"stt_{name}_sum") == expected
    assert registry.get_sample_value("stt_inference_duration_seconds_count") == 1


async def test_a_stream_that_left_is_not_computed(loop, model):
    model.gate.clear()
    first = asyncio.create_task(submit(loop, 1.0))
    assert await asyncio.to_thread(model.entered.acquire, timeout=PATIENCE_S)
    gone = asyncio.create_task(submit(loop, 2.0))
    stays = asyncio.create_task(submit(loop, 3.0))
    await asyncio.sleep(0)
    gone.cancel()
    model.gate.set()
    await asyncio.gather(first, stays)
    assert model.batches == [[1.0], [3.0]]


@pytest.mark.parametrize("mark", [FAILS, NOT_FINITE])
async def test_a_failure_meets_only_the_stream_that_caused_it(loop, mark):
    outcomes = await asyncio.gather(
        submit(loop, 1.0), submit(loop, mark), submit(loop, 2.0), return_exceptions=True
    )
    assert outcomes[0].state["sum"][0] == 8
    assert isinstance(outcomes[1], InferenceFailed)
    assert outcomes[2].state["sum"][0] == 16
    assert (await submit(loop, 3.0)).state["sum"][0] == 24


async def test_a_lost_device_meets_everyone_at_once(loop, model):
    outcomes = await asyncio.gather(
        submit(loop, 1.0), submit(loop, LOSES_THE_DEVICE), return_exceptions=True
    )
    assert all(isinstance(outcome, DeviceLost) for outcome in outcomes)
    assert len(model.batches) == 1


async def test_closed_it_finishes_and_takes_no_more(loop):
    running = asyncio.create_task(submit(loop, 1.0))
    await asyncio.sleep(0)
    await loop.close()
    assert (await running).state["sum"][0] == 8
    with pytest.raises(NotReady):
        await submit(loop, 2.0)
