import asyncio
import random
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from service.arrays import FloatArray, IntArray
from service.batcher import Batcher, BatchLimits, Inference, Lane
from service.errors import (
    AudioTooLong,
    DeadlineExceeded,
    EmptyAudio,
    InferenceFailed,
    NotReady,
    Overloaded,
    ServiceError,
)
from service.metrics import Metrics

HOP = 10
RATE_HZ = 100
FOREVER_MS = 1e9
PATIENCE_S = 30  # a test that waits this long has failed


class LengthModel:
    """Answers each utterance with its length in every frame; can be held, and fails on demand."""

    def __init__(self, fails: Callable[[int], bool] = lambda samples: False) -> None:
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
        if any(self._fails(samples) for samples in lengths.tolist()):
            raise RuntimeError("planned failure")
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

    def __init__(self, model: LengthModel, changes: dict[str, Any]) -> None:
        self.model = model
        self.registry = CollectorRegistry()
        self.batcher = Batcher(model, limits(**changes), Metrics(self.registry))

    def submit(self, samples: int, **how: Any) -> asyncio.Task[Inference]:
        return asyncio.create_task(self.batcher.submit(np.ones(samples, np.float32), **how))

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"stt_{name}", labels)


@asynccontextmanager
async def running(model: LengthModel, **changes: Any):
    bench = Bench(model, changes)
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


def test_an_utterance_is_answered_with_its_valid_frames() -> None:
    async def test() -> None:
        async with running(LengthModel()) as bench:
            inference = await bench.submit(55)
            assert_answers(inference, 55)
            assert inference.logits.dtype == np.float32
            assert inference.queue_s >= 0
            assert inference.inference_s >= 0
            assert bench.value("batches_total", reason="deadline") == 1

    run(test)


def test_what_queued_while_the_model_was_busy_is_the_next_batch() -> None:
    async def test() -> None:
        model = LengthModel()
        async with running(model) as bench:
            with model.held():
                first = bench.submit(50)
                await model.entered()
                rest = [bench.submit(samples) for samples in (40, 30)]
                await settle()
                assert bench.value("queue_size", lane="interactive") == 2
                assert bench.value("queue_audio_seconds", lane="interactive") == 0.7
            for task, samples in zip([first, *rest], (50, 40, 30), strict=True):
                assert_answers(await task, samples)
            assert model.batches == [[50], [40, 30]]
            assert bench.value("batches_total", reason="idle") == 1
            assert bench.value("batch_padding_ratio_sum") == pytest.approx(0.125)
            assert bench.value("batch_audio_seconds_sum") == pytest.approx(1.2)
            assert bench.value("queue_size", lane="interactive") == 0
            assert threading.get_ident() not in model.threads

    run(test)


def test_a_full_batch_does_not_wait() -> None:
    async def test() -> None:
        model = LengthModel()
        async with running(model, max_wait_ms=FOREVER_MS) as bench:
            await asyncio.gather(*(bench.submit(50) for _ in range(4)))
            assert model.batches == [[50] * 4]
            assert bench.value("batches_total", reason="full") == 1

    run(test)


def test_a_full_batch_is_prepared_while_one_runs_but_bulk_is_not() -> None:
    async def test() -> None:
        for lane, left in ((Lane.INTERACTIVE, 0), (Lane.BULK, 4)):
            model = LengthModel()
            async with running(model) as bench:
                with model.held():
                    tasks = [bench.submit(50, lane=lane)]
                    await model.entered()
                    tasks += [bench.submit(50, lane=lane) for _ in range(4)]
                    await settle()
                    assert bench.value("queue_size", lane=lane) == left
                await asyncio.gather(*tasks)
                assert model.batches == [[50], [50] * 4]

    run(test)


def test_without_batch_invariance_everything_runs_alone() -> None:
    async def test() -> None:
        model = LengthModel()
        async with running(model, batch_invariant=False) as bench:
            await asyncio.gather(*(bench.submit(50) for _ in range(3)))
            assert model.batches == [[50]] * 3

    run(test)


def test_interactive_overtakes_bulk_that_came_earlier() -> None:
    async def test() -> None:
        model = LengthModel()
        async with running(model, max_batch_size=1) as bench:
            with model.held():
                tasks = [bench.submit(90, lane=Lane.BULK)]
                await model.entered()
                tasks += [bench.submit(80, lane=Lane.BULK) for _ in range(2)]
                await settle()
                tasks += [bench.submit(30)]
                await settle()
            await asyncio.gather(*tasks)
            assert model.batches == [[90], [30], [80], [80]]

    run(test)


def test_draining_finishes_what_is_queued_and_refuses_the_rest() -> None:
    async def test() -> None:
        model = LengthModel()
        async with running(model, max_wait_ms=FOREVER_MS) as bench:
            queued = [bench.submit(50), bench.submit(45)]
            await settle()
            await bench.batcher.drain()
            assert all(task.done() for task in queued)
            assert bench.value("batches_total", reason="drain") == 1
            assert not bench.batcher.accepting
            with pytest.raises(NotReady):
                await bench.submit(50)
            with pytest.raises(NotReady):
                await bench.submit(50, lane=Lane.BULK)
            assert bench.value("rejected_total", reason="not_ready") == 2

    run(test)


def test_nothing_is_accepted_before_the_start() -> None:
    async def test() -> None:
        bench = Bench(LengthModel(), {})
        with pytest.raises(NotReady):
            await bench.submit(50)
        await bench.batcher.drain()

    run(test)


@pytest.mark.parametrize(
    ("changes", "found", "limit"),
    [({"max_queue": 2}, 2, 2), ({"max_queue_audio_s": 1.2}, 1.5, 1.2)],
)
def test_a_full_queue_is_refused_with_a_time_to_return(
    changes: dict[str, float], found: float, limit: float
) -> None:
    async def test() -> None:
        model = LengthModel()
        async with running(model, **changes) as bench:
            with model.held():
                tasks = [bench.submit(50)]
                await model.entered()
                tasks += [bench.submit(50), bench.submit(50)]
                await settle()
                with pytest.raises(Overloaded) as refused:
                    await bench.submit(50)
                assert (refused.value.found, refused.value.limit) == (found, limit)
                assert refused.value.retry_after_s >= 1
                assert bench.value("rejected_total", reason="queue_full") == 1
                tasks.append(bench.submit(50, lane=Lane.BULK))
                await settle()
            await asyncio.gather(*tasks)

    run(test)


def test_room_for_a_long_file_is_asked_for_once() -> None:
    async def test() -> None:
        model = LengthModel()
        async with running(model, max_queue_audio_s=2, max_queue=3) as bench:
            with model.held():
                bench.batcher.check_room(100_000, lane=Lane.BULK)
                tasks = [bench.submit(90, lane=Lane.BULK) for _ in range(6)]
                await settle()
                with pytest.raises(Overloaded):
                    bench.batcher.check_room(100, lane=Lane.BULK)
                bench.batcher.check_room(100, lane=Lane.INTERACTIVE)
            await asyncio.gather(*tasks)

    run(test)


def test_a_cancelled_caller_leaves_the_queue_and_is_counted() -> None:
    async def test() -> None:
        model = LengthModel()
        async with running(model) as bench:
            with model.held():
                first = bench.submit(50)
                await model.entered()
                leaver, stayer = bench.submit(40), bench.submit(30)
                await settle()
                leaver.cancel()
                await settle()
                assert bench.value("queue_size", lane="interactive") == 1
                assert bench.value("cancelled_total") == 1
            await asyncio.gather(first, stayer)
            assert leaver.cancelled()
            assert model.batches == [[50], [30]]

    run(test)


def test_a_prepared_batch_that_everyone_left_is_not_computed() -> None:
    async def test() -> None:
        model = LengthModel()
        async with running(model) as bench:
            with model.held():
                first = bench.submit(50)
                await model.entered()
                leavers = [bench.submit(40) for _ in range(4)]
                await settle()
                for leaver in leavers:
                    leaver.cancel()
                await settle()
            await first
            assert_answers(await bench.submit(20), 20)
            assert model.batches == [[50], [20]]

    run(test)


def test_a_deadline_ends_the_wait_and_takes_the_utterance_out() -> None:
    async def test() -> None:
        model = LengthModel()
        async with running(model) as bench:
            with model.held():
                first = bench.submit(50)
                await model.entered()
                with pytest.raises(DeadlineExceeded):
                    await bench.submit(40, deadline_s=0)
                assert bench.value("queue_size", lane="interactive") == 0
                assert bench.value("rejected_total", reason="deadline") == 1
                assert bench.value("cancelled_total") == 0
            await first
            assert model.batches == [[50]]

    run(test)


def test_a_failed_batch_fails_only_the_member_at_fault() -> None:
    async def test() -> None:
        model = LengthModel(fails=lambda samples: samples == 40)
        async with running(model, max_wait_ms=FOREVER_MS) as bench:
            tasks = [bench.submit(samples) for samples in (50, 40, 45, 42)]
            good = [await tasks[0], await tasks[2], await tasks[3]]
            for inference, samples in zip(good, (50, 45, 42), strict=True):
                assert_answers(inference, samples)
            with pytest.raises(InferenceFailed) as failed:
                await tasks[1]
            assert isinstance(failed.value.__cause__, RuntimeError)
            assert len(model.batches) == 5

    run(test)


def test_a_model_that_forgets_rows_fails_the_batch_and_not_the_loop() -> None:
    async def test() -> None:
        model = LengthModel()
        async with running(model) as bench:
            infer = model.infer
            model.infer = lambda waveforms, lengths: (infer(waveforms, lengths)[0][:0], lengths)
            with pytest.raises(InferenceFailed):
                await bench.submit(50)
            model.infer = infer
            assert_answers(await bench.submit(50), 50)

    run(test)


def test_audio_too_long_for_one_pass_is_refused() -> None:
    async def test() -> None:
        async with running(LengthModel()) as bench:
            with pytest.raises(AudioTooLong) as refused:
                await bench.submit(3001)
            assert (refused.value.found, refused.value.limit) == (30.01, 30)
            with pytest.raises(EmptyAudio):
                await bench.submit(0)
            assert_answers(await bench.submit(1000), 1000)

    run(test)


def test_audio_longer_than_a_batch_runs_alone() -> None:
    async def test() -> None:
        model = LengthModel()
        async with running(model) as bench:
            lengths = [3000, 900, 3000, 50]
            answers = await asyncio.gather(*(bench.submit(samples) for samples in lengths))
            for answer, samples in zip(answers, lengths, strict=True):
                assert_answers(answer, samples)
        assert model.batches.count([3000]) == 2

    run(test)


def test_nobody_hangs_if_the_loop_itself_breaks(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    async def test() -> None:
        async with running(LengthModel()) as bench:
            monkeypatch.setattr("service.batcher.choose_batch", broken)
            with pytest.raises(NotReady):
                await bench.submit(50)
            assert not bench.batcher.accepting

    run(test)


def test_every_lane_and_reason_shows_zero_at_the_start() -> None:
    bench = Bench(LengthModel(), {})
    for lane in ("interactive", "bulk"):
        assert bench.value("queue_size", lane=lane) == 0
        assert bench.value("queue_audio_seconds", lane=lane) == 0
        assert bench.value("queue_duration_seconds_count", lane=lane) == 0
    for reason in ("full", "deadline", "idle", "drain"):
        assert bench.value("batches_total", reason=reason) == 0
    for reason in ("not_ready", "too_long", "queue_full", "deadline"):
        assert bench.value("rejected_total", reason=reason) == 0


@pytest.mark.parametrize("seed", range(3))
def test_chaos_then_one_good_answer(seed: int) -> None:
    dice = random.Random(seed)

    async def one(bench: Bench) -> str:
        samples = dice.randrange(10, 400)
        how = {
            "lane": dice.choice(list(Lane)),
            "deadline_s": dice.choice([None, None, None, 0.0]),
        }
        task = bench.submit(samples, **how)
        if dice.random() < 0.2:
            await asyncio.sleep(0)
            task.cancel()
        try:
            assert_answers(await task, samples)
        except asyncio.CancelledError:
            return "cancelled"
        except ServiceError as error:
            return error.code
        return "answered"

    async def test() -> None:
        model = LengthModel(fails=lambda samples: samples % 7 == 0)
        async with running(model, max_queue=80, max_batch_samples=1600) as bench:
            outcomes = [
                outcome
                for _ in range(4)
                for outcome in await asyncio.gather(*(one(bench) for _ in range(100)))
            ]
            assert set(outcomes) == {
                "answered",
                "cancelled",
                "deadline_exceeded",
                "inference_failed",
            }
            assert bench.value("cancelled_total") == outcomes.count("cancelled")
            assert_answers(await bench.submit(30), 30)
            assert bench.value("queue_audio_seconds", lane="bulk") == 0
        assert all(len(batch) * max(batch) <= 1600 for batch in model.batches)

    run(test)
