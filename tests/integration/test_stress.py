"""Two thousand callers of every kind on the real batcher with real threads."""

import asyncio
import itertools
import logging
import random
import threading
from collections import Counter

import numpy as np
import pytest
from echo_model import FAILS, HOP, NOT_FINITE, EchoModel
from patience import PATIENCE_S
from prometheus_client import CollectorRegistry

from service.batcher import Batcher, BatchLimits, Inference, Lane
from service.errors import ServiceError
from service.metrics import Metrics

REQUESTS, CLIENTS = 2000, 100
MEMORY_SAMPLES = 700
LIMITS = BatchLimits(
    max_batch_samples=1000,
    max_utterance_samples=1000,
    max_batch_size=6,
    max_wait_ms=0.1,
    max_queue=15,
    max_queue_audio_s=1e6,
    sample_rate_hz=100,
    batch_invariant=True,
    max_padding_ratio=0.5,
    sessions=2,
)
CONTENTS = {"inference_failed": (FAILS, NOT_FINITE)}
LENGTHS = {"out_of_memory": (MEMORY_SAMPLES + 1, 1000), "audio_too_long": (1001, 2000)}
KINDS = ["answered"] * 5 + [
    "cancelled",
    "deadline_exceeded",
    "inference_failed",
    "out_of_memory",
    "audio_too_long",
]


class Stress:
    """One batcher, and callers whose fate is drawn beforehand."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.marks = iter(range(1, 10_000))
        self.model = EchoModel(MEMORY_SAMPLES, on_call=self.meet)
        self.calls = itertools.count()
        self.meeting = threading.Barrier(LIMITS.sessions)
        self.registry = CollectorRegistry()
        self.batcher = Batcher(self.model, LIMITS, Metrics(self.registry))
        self.outcomes: Counter[tuple[str, str]] = Counter()

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"stt_{name}", labels)

    def meet(self, marks: list[float]) -> None:
        """Keep the first batches until as many run as may: the model itself takes no time."""
        if next(self.calls) < LIMITS.sessions:
            self.meeting.wait(PATIENCE_S)

    async def client(self) -> None:
        for _ in range(REQUESTS // CLIENTS):
            kind = self.dice.choice(KINDS)
            self.outcomes[kind, await self.ask(kind)] += 1

    async def ask(self, kind: str) -> str:
        mark = self.dice.choice(CONTENTS.get(kind, (next(self.marks),)))
        samples = self.dice.randint(*LENGTHS.get(kind, (1, 400)))
        answer = asyncio.create_task(
            self.batcher.submit(
                np.full(samples, mark, np.float32),
                lane=self.dice.choice(list(Lane)),
                deadline_s=0 if kind == "deadline_exceeded" else None,
            )
        )
        if kind == "cancelled":
            for _ in range(self.dice.randint(1, 10)):
                await asyncio.sleep(0)
            answer.cancel()
        return await self.outcome(answer, [[mark]] * -(-samples // HOP))

    async def outcome(self, answer: asyncio.Task[Inference], expected: list[list[float]]) -> str:
        try:
            logits = (await answer).logits.tolist()
        except asyncio.CancelledError:
            return "cancelled"
        except ServiceError as error:
            return error.code
        assert logits == expected, "somebody else's logits"
        return "answered"

    def check(self) -> None:
        """Whether each has the one outcome that its kind allows, and the metrics say the same."""
        counted: Counter[str] = Counter()
        for (kind, outcome), count in self.outcomes.items():
            allowed = {kind, "answered"} if kind == "cancelled" else {kind}
            assert outcome in allowed | {"overloaded"}
            counted[outcome] += count
        assert counted.total() == REQUESTS
        assert set(counted) == {*KINDS, "overloaded"}
        assert self.value("cancelled_total") == counted["cancelled"]
        for reason, code in (
            ("deadline", "deadline_exceeded"),
            ("too_long", "audio_too_long"),
            ("queue_full", "overloaded"),
            ("not_ready", "not_ready"),
        ):
            assert self.value("rejected_total", reason=reason) == counted[code]
        for lane in Lane:
            assert self.value("queue_size", lane=lane) == 0
            assert self.value("queue_audio_seconds", lane=lane) == 0
        assert self.value("batch_size_sum") >= counted["answered"]

    def check_batches(self) -> None:
        assert self.model.most_at_once == LIMITS.sessions
        for batch in self.model.batches:
            assert len(batch) <= LIMITS.max_batch_size
            assert len(batch) * max(batch) <= LIMITS.max_batch_samples


@pytest.mark.parametrize("seed", range(2))
async def test_everyone_gets_one_outcome_and_nothing_is_left_over(
    seed: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)  # the planned failures would fill pages
    before = set(threading.enumerate())
    stress = Stress(seed)
    async with asyncio.timeout(PATIENCE_S):
        await stress.batcher.start()
        await asyncio.gather(*(stress.client() for _ in range(CLIENTS)))
        stress.check()
        stress.check_batches()
        assert await stress.ask("answered") == "answered"
        await stress.batcher.drain()
    assert asyncio.all_tasks() == {asyncio.current_task()}
    for thread in set(threading.enumerate()) - before:
        if thread.name.startswith("stt-inference"):
            thread.join(PATIENCE_S)
            assert not thread.is_alive()
