"""A batcher on real threads, whose model can be held in the middle of a batch."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import numpy as np
from patience import PATIENCE_S
from prometheus_client import CollectorRegistry

from service.arrays import FloatArray, IntArray
from service.batcher import Batcher, BatchLimits, Inference
from service.metrics import Metrics

HOP = 10
RATE_HZ = 100
FOREVER_MS = 1e9


class LengthModel:
    """Answers each utterance with its length in every frame; can be held, and fails on demand.

    Args:
        fails: what to raise for utterances of these lengths.
    """

    def __init__(
        self, fails: Callable[[list[int]], Exception | None] = lambda lengths: None
    ) -> None:
        self.batches: list[list[int]] = []
        self.threads: set[int] = set()
        self._fails = fails
        self._entered = threading.Semaphore(0)
        self._gate = threading.Event()
        self._gate.set()

    def infer(self, waveforms: FloatArray, lengths: IntArray) -> tuple[FloatArray, IntArray]:
        self.batches.append(lengths.tolist())
        self.threads.add(threading.get_ident())
        self._entered.release()
        assert self._gate.wait(PATIENCE_S)
        if failure := self._fails(lengths.tolist()):
            raise failure
        frames = waveforms.shape[1] // HOP
        logits = np.repeat(lengths[:, np.newaxis, np.newaxis], frames, axis=1)
        return logits.astype(np.float32), lengths // HOP

    @contextmanager
    def held(self) -> Iterator[None]:
        self._gate.clear()
        try:
            yield
        finally:
            self._gate.set()

    async def entered(self) -> None:
        assert await asyncio.to_thread(self._entered.acquire, timeout=PATIENCE_S)


def limits(**changes: Any) -> BatchLimits:
    settings: dict[str, Any] = {
        "max_batch_samples": 1000,
        "max_utterance_samples": 3000,
        "max_batch_size": 4,
        "max_wait_ms": 0,
        "max_queue": 100,
        "max_queue_audio_s": 1000,
        "sample_rate_hz": RATE_HZ,
        "batch_invariant": True,
    }
    return BatchLimits(**settings | changes)


class Bench:
    """A running batcher and what the tests look at."""

    def __init__(
        self,
        model: LengthModel,
        changes: dict[str, Any],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.model = model
        self.registry = CollectorRegistry()
        self.batcher = Batcher(model, limits(**changes), Metrics(self.registry), clock=clock)

    def submit(self, samples: int, **how: Any) -> asyncio.Task[Inference]:
        return asyncio.create_task(self.batcher.submit(np.ones(samples, np.float32), **how))

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"stt_{name}", labels)


@asynccontextmanager
async def running(
    model: LengthModel, clock: Callable[[], float] = time.monotonic, **changes: Any
) -> AsyncIterator[Bench]:
    bench = Bench(model, changes, clock)
    await bench.batcher.start()
    try:
        yield bench
    finally:
        await bench.batcher.drain()


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(2 * PATIENCE_S):
            await test()

    asyncio.run(bounded())


async def settle() -> None:
    """Let the event loop do everything that waits for no thread and no timer."""
    for _ in range(20):
        await asyncio.sleep(0)


def assert_answers(inference: Inference, samples: int) -> None:
    assert inference.logits.tolist() == [[samples]] * (samples // HOP)
