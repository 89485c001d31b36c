"""The real batcher in virtual time, with callers who leave, are late, or send what breaks it."""

import asyncio
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from echo_model import FAILS, HOP, NOT_FINITE, EchoModel
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from virtual_time import VirtualThreads, run_in_virtual_time

from service.batcher import Batcher, BatchLimits, Lane
from service.errors import ServiceError
from service.lanes import PATIENCE
from service.metrics import Metrics
from service.packing import pad_waveforms, padding_ratio

RATE_HZ = 100
MAX_SAMPLES = 400
SAMPLES_PER_S = 400  # what a session computes; a longest utterance takes a second
ROUNDING_S = 1e-4


@dataclass(frozen=True)
class Request:
    arrives_s: float
    samples: int
    lane: Lane
    content: float | None  # None: its own mark, which the model echoes
    patience_s: float | None  # until it leaves
    allowed_s: float | None  # until its deadline


@dataclass(frozen=True)
class Call:
    """One call of the model."""

    starts_s: float
    ends_s: float
    marks: list[float]


class Bench:
    """A batcher on virtual threads, and a record of what its model was asked."""

    def __init__(self, limits: BatchLimits, memory_samples: float = np.inf) -> None:
        self.calls: list[Call] = []
        self.model = EchoModel(memory_samples)
        self.registry = CollectorRegistry()
        self.limits = limits
        self.now_s = asyncio.get_running_loop().time
        self.batcher = Batcher(
            self.model,
            limits,
            Metrics(self.registry),
            clock=self.now_s,
            executor=VirtualThreads(self._cost_s),
        )

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"stt_{name}", labels)

    def _cost_s(self, function: Any, *arguments: Any) -> float:
        if function is pad_waveforms:
            return 0
        waveforms, _ = arguments
        cost_s: float = waveforms.size / SAMPLES_PER_S
        now_s = self.now_s()
        self.calls.append(Call(now_s, now_s + cost_s, waveforms[:, 0].tolist()))
        return cost_s


def limits(**changes: Any) -> BatchLimits:
    defaults: dict[str, Any] = {
        "max_batch_samples": 1000,
        "max_utterance_samples": 1000,
        "max_batch_size": 4,
        "max_wait_ms": 0,
        "max_queue": 1000,
        "max_queue_audio_s": 100_000,
        "sample_rate_hz": RATE_HZ,
        "batch_invariant": True,
    }
    return BatchLimits(**defaults | changes)


NOTHING = st.none()
lengths = st.integers(1, MAX_SAMPLES)
moments = st.integers(0, 12).map(lambda quarters: quarters / 4)
all_limits = st.builds(
    limits,
    max_batch_samples=st.integers(MAX_SAMPLES, 4 * MAX_SAMPLES),
    max_batch_size=st.integers(1, 6),
    max_padding_ratio=st.floats(0, 1),
    max_wait_ms=st.sampled_from([0, 300]),
    sessions=st.integers(1, 3),
)


def requests(*, contents: Any = NOTHING, waits: Any = NOTHING) -> st.SearchStrategy[Any]:
    return st.lists(
        st.builds(
            Request,
            arrives_s=moments,
            samples=lengths,
            lane=st.sampled_from(Lane),
            content=contents,
            patience_s=waits,
            allowed_s=waits,
        ),
        min_size=1,
        max_size=25,
    )


async def ask(bench: Bench, mark: int, request: Request) -> str:
    """What became of one request."""
    await asyncio.sleep(request.arrives_s)
    now_s = bench.now_s()
    content = mark if request.content is None else request.content
    answer = asyncio.create_task(
        bench.batcher.submit(
            np.full(request.samples, content, np.float32),
            lane=request.lane,
            deadline_s=None if request.allowed_s is None else now_s + request.allowed_s,
        )
    )
    if request.patience_s is not None:
        asyncio.get_running_loop().call_later(request.patience_s, answer.cancel)
    try:
        logits = (await answer).logits
    except asyncio.CancelledError:
        return "cancelled"
    except ServiceError as error:
        return error.code
    frames = -(-request.samples // HOP)
    assert logits.tolist() == [[content]] * frames, "somebody else's logits"
    if request.allowed_s is not None:
        assert bench.now_s() <= now_s + request.allowed_s + ROUNDING_S
    return "answered"


def serve(asked: list[Request], bounds: BatchLimits, **how: Any) -> tuple[Bench, list[str]]:
    """Each request's outcome, in a batcher that is drained afterwards."""

    async def work() -> tuple[Bench, list[str]]:
        bench = Bench(bounds, **how)
        await bench.batcher.start()
        outcomes = await asyncio.gather(*(ask(bench, *one) for one in enumerate(asked)))
        for lane in Lane:
            assert bench.value("queue_size", lane=lane) == 0
            assert bench.value("queue_audio_seconds", lane=lane) == 0
        await bench.batcher.drain()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return bench, outcomes

    return run_in_virtual_time(work())


def running(bench: Bench, start_s: float, end_s: float) -> float:
    """Seconds that all sessions together ran in between."""
    return sum(
        max(0.0, min(call.ends_s, end_s) - max(call.starts_s, start_s)) for call in bench.calls
    )


@settings(deadline=None, max_examples=60)
@given(requests(), all_limits)
def test_each_is_computed_once_within_the_budget(asked: list[Request], bounds: BatchLimits) -> None:
    bench, outcomes = serve(asked, bounds)
    assert set(outcomes) == {"answered"}
    marks = [mark for call in bench.calls for mark in call.marks]
    assert sorted(marks) == list(range(len(asked)))
    for batch in bench.model.batches:
        assert len(batch) <= bounds.max_batch_size
        assert len(batch) * max(batch) <= bounds.max_batch_samples
        assert padding_ratio(batch) <= bounds.max_padding_ratio
    for call in bench.calls:
        assert len({asked[int(mark)].lane for mark in call.marks}) == 1
        at_once = [other for other in bench.calls if other.starts_s <= call.starts_s < other.ends_s]
        assert len(at_once) <= bounds.sessions


@settings(deadline=None, max_examples=60)
@given(requests(), st.integers(1, 3), st.booleans())
def test_no_session_idles_while_somebody_waits(
    asked: list[Request], sessions: int, batch_invariant: bool
) -> None:
    bench, _ = serve(asked, limits(sessions=sessions, batch_invariant=batch_invariant))
    for call in bench.calls:
        for mark in call.marks:
            arrived_s = asked[int(mark)].arrives_s
            waited_s = call.starts_s - arrived_s
            busy_s = running(bench, arrived_s, call.starts_s)
            assert busy_s >= sessions * waited_s - ROUNDING_S


@settings(deadline=None, max_examples=100)
@given(
    requests(
        contents=st.sampled_from([None, None, None, FAILS, NOT_FINITE]),
        waits=st.one_of(st.none(), st.none(), moments),
    ),
    all_limits,
    st.one_of(st.just(np.inf), lengths),
)
def test_everyone_gets_one_outcome_of_their_own(
    asked: list[Request], bounds: BatchLimits, memory_samples: float
) -> None:
    bench, outcomes = serve(asked, bounds, memory_samples=memory_samples)
    for request, outcome in zip(asked, outcomes, strict=True):
        allowed = set()
        if request.patience_s is not None:
            allowed.add("cancelled")
        if request.allowed_s is not None:
            allowed.add("deadline_exceeded")
        if request.samples > memory_samples:
            allowed.add("out_of_memory")
        elif request.content is not None:
            allowed.add("inference_failed")
        else:
            allowed.add("answered")
        assert outcome in allowed
    counted = Counter(outcomes)
    assert bench.value("cancelled_total") == counted["cancelled"]
    assert bench.value("rejected_total", reason="deadline") == counted["deadline_exceeded"]


@settings(deadline=None, max_examples=60)
@given(requests(waits=moments), all_limits)
def test_nobody_is_computed_who_has_left_or_is_late(
    asked: list[Request], bounds: BatchLimits
) -> None:
    bench, _ = serve(asked, bounds)
    for call in bench.calls:
        for mark in call.marks:
            request = asked[int(mark)]
            assert request.allowed_s is not None
            assert request.patience_s is not None
            waits_s = min(request.allowed_s, request.patience_s)
            assert call.starts_s <= request.arrives_s + waits_s + ROUNDING_S


def long_file(segments: int, at_s: float = 0.0) -> list[Request]:
    return [Request(at_s, MAX_SAMPLES, Lane.BULK, None, None, None)] * segments


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from([Lane.LIVE, Lane.INTERACTIVE]),
    moments,
    st.integers(1, 40),
    st.integers(1, 4),
    st.integers(1, 3),
)
def test_a_short_one_beside_a_long_file_waits_for_one_running_batch(
    lane: Lane, arrives_s: float, samples: int, size: int, sessions: int
) -> None:
    bounds = limits(max_batch_size=size, max_batch_samples=size * MAX_SAMPLES, sessions=sessions)
    short = Request(arrives_s, samples, lane, None, None, None)
    bench, _ = serve([*long_file(60), short], bounds)
    (call,) = [call for call in bench.calls if 60.0 in call.marks]
    batch_s = size * MAX_SAMPLES / SAMPLES_PER_S
    assert call.starts_s - arrives_s <= batch_s + ROUNDING_S


@settings(deadline=None, max_examples=30)
@given(
    st.integers(1, 15),
    st.integers(1, 3),
    st.sets(st.sampled_from([Lane.LIVE, Lane.INTERACTIVE]), min_size=1),
)
def test_a_long_file_goes_on_under_endless_urgent_work(
    segments: int, sessions: int, lanes: set[Lane]
) -> None:
    turn = PATIENCE + len(lanes)  # batches from one of the file's to the next
    most_calls = turn * segments + sessions

    async def work() -> int:
        bench = Bench(limits(sessions=sessions, max_batch_size=1))
        await bench.batcher.start()

        async def client(lane: Lane) -> None:
            while len(bench.calls) <= 2 * most_calls:
                await bench.batcher.submit(np.ones(MAX_SAMPLES, np.float32), lane=lane)

        clients = [asyncio.create_task(client(lane)) for lane in lanes for _ in range(8)]
        file = [
            bench.batcher.submit(np.ones(MAX_SAMPLES, np.float32), lane=Lane.BULK)
            for _ in range(segments)
        ]
        await asyncio.gather(*file)
        calls = len(bench.calls)
        for one in clients:
            one.cancel()
        await asyncio.wait(clients)
        await bench.batcher.drain()
        return calls

    assert run_in_virtual_time(work()) <= most_calls
