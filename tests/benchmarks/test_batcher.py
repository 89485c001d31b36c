"""What the batcher itself costs, around a model that does nothing."""

import asyncio
import random
import time
from itertools import pairwise

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from service.batcher import Batcher, BatchLimits
from service.metrics import Metrics
from service.packing import BatchBudget, Line, Pending, choose_batch

UTTERANCES = 10_000
BUDGET = BatchBudget(max_batch_samples=480_000, max_batch_size=16)


class NoModel:
    def infer(self, waveforms, lengths):
        return np.zeros((len(lengths), 1, 1), np.float32), np.ones(len(lengths), np.int64)


@pytest.mark.bench
@pytest.mark.parametrize("waiting", [16, 256, 2000, UTTERANCES])
def test_time_of_the_event_loop_per_utterance(waiting):
    print(f"\n{waiting} wait at a time: {asyncio.run(_cost_us(waiting)):.0f} us an utterance")


async def _cost_us(waiting):
    limits = BatchLimits(
        max_batch_samples=BUDGET.max_batch_samples,
        max_utterance_samples=BUDGET.max_batch_samples,
        max_batch_size=BUDGET.max_batch_size,
        max_wait_ms=5,
        max_queue=UTTERANCES,
        max_queue_audio_s=1e9,
        sample_rate_hz=16_000,
        batch_invariant=True,
    )
    batcher = Batcher(NoModel(), limits, Metrics(CollectorRegistry()))
    dice = random.Random(0)
    audio = np.zeros(480_000, np.float32)

    async def client(share):
        for _ in range(share):
            await batcher.submit(audio[: dice.randint(1, 4000)])

    await batcher.start()
    started_s = time.thread_time()  # of the event loop's own thread, model and padding apart
    await asyncio.gather(*(client(UTTERANCES // waiting) for _ in range(waiting)))
    spent_s = time.thread_time() - started_s
    await batcher.drain()
    return spent_s / (UTTERANCES // waiting * waiting) * 1e6


@pytest.mark.bench
def test_choosing_costs_no_more_when_many_wait():
    costs_us = [_choice_us(waiting) for waiting in (16, 256, 2000)]
    print(f"\none choice with 16, 256, 2000 waiting: {', '.join(f'{c:.0f}' for c in costs_us)} us")
    assert all(more < 5 * less for less, more in pairwise(costs_us))


def _choice_us(waiting):
    dice = random.Random(0)
    line = Line()
    for key in range(waiting):
        line.add(Pending(key, dice.randint(16_000, 480_000), float(key)))
    times_s = []
    for _ in range(200):
        started_s = time.perf_counter()
        choose_batch(line, BUDGET)
        times_s.append(time.perf_counter() - started_s)
    return np.median(times_s) * 1e6
