import asyncio
import logging
import threading

import numpy as np
import pytest
from batcher_bench import (
    FOREVER_MS,
    Bench,
    LengthModel,
    assert_answers,
    run,
    running,
    settle,
)
from patience import PATIENCE_S

from service.batcher import Lane
from service.errors import (
    AudioTooLong,
    DeadlineExceeded,
    DeviceLost,
    EmptyAudio,
    NotReady,
    Overloaded,
)


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
                assert refused.value.retry_after_s == pytest.approx(1.5)  # 1 s of audio a second
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


def test_whoever_is_late_is_not_computed_even_if_no_timer_fired_yet() -> None:
    now_s = [0.0]

    async def test() -> None:
        model = LengthModel()
        async with running(model, clock=lambda: now_s[0]) as bench:
            with model.held():
                tasks = [bench.submit(50)]
                await model.entered()
                late = bench.submit(40, deadline_s=1000)
                tasks.append(bench.submit(41, deadline_s=3000))
                await settle()
                now_s[0] = 2000
            with pytest.raises(DeadlineExceeded) as refused:
                await late
            assert (refused.value.found, refused.value.limit) == (2000, 1000)
            await asyncio.gather(*tasks)
            assert model.batches == [[50], [41]]
            assert bench.value("rejected_total", reason="deadline") == 1

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
            monkeypatch.setattr("service.admission.choose_batch", broken)
            with pytest.raises(NotReady):
                await bench.submit(50)
            assert not bench.batcher.accepting
            assert bench.batcher.failure == "inference has stopped, the log says why"

    run(test)


def test_every_lane_and_reason_shows_zero_at_the_start() -> None:
    bench = Bench(LengthModel(), {})
    for lane in ("live", "interactive", "bulk"):
        assert bench.value("queue_size", lane=lane) == 0
        assert bench.value("queue_audio_seconds", lane=lane) == 0
        assert bench.value("queue_duration_seconds_count", lane=lane) == 0
    for reason in ("full", "deadline", "idle", "drain"):
        assert bench.value("batches_total", reason=reason) == 0
    for reason in ("not_ready", "too_long", "queue_full", "deadline"):
        assert bench.value("rejected_total", reason=reason) == 0


def test_a_lost_device_fails_who_waits_and_lets_nobody_in(
    caplog: pytest.LogCaptureFixture,
) -> None:
    others_have_failed = threading.Event()

    def fails(lengths: list[int]) -> Exception | None:
        if 40 in lengths:
            return DeviceLost("planned loss")
        assert others_have_failed.wait(PATIENCE_S)
        return None

    async def test() -> None:
        model = LengthModel(fails)
        async with running(model, max_batch_size=2, sessions=2) as bench:
            with model.held():
                running_elsewhere = bench.submit(50)
                await model.entered()
                computed = bench.submit(40)
                await model.entered()
                waiting = [bench.submit(30, lane=lane) for lane in Lane]
                await settle()
                assert bench.batcher.failure is None
            for task in (computed, *waiting):
                with pytest.raises(DeviceLost):
                    await task
            others_have_failed.set()
            assert_answers(await running_elsewhere, 50)
            with pytest.raises(NotReady, match="the device broke"):
                await bench.submit(50)
            assert not bench.batcher.accepting
            assert bench.batcher.failure == "the device broke; only a restart helps"
            assert all(bench.value("queue_size", lane=lane) == 0 for lane in Lane)

    run(test)
    assert [record.levelno for record in caplog.records] == [logging.CRITICAL]


def test_retry_after_counts_what_runs_and_what_goes_first() -> None:
    async def test() -> None:
        model = LengthModel()
        async with running(model, max_queue=1) as bench:
            with model.held():
                tasks = [bench.submit(200)]
                await model.entered()
                tasks += [bench.submit(300, lane=lane) for lane in Lane]
                await settle()
                expected_s = {Lane.LIVE: 5, Lane.INTERACTIVE: 8, Lane.BULK: 11}
                for lane in Lane:
                    with pytest.raises(Overloaded) as refused:
                        bench.batcher.check_room(100, lane=lane)
                    assert refused.value.retry_after_s == pytest.approx(expected_s[lane])
                assert bench.batcher.retry_after_s(10) == pytest.approx(12)
            await asyncio.gather(*tasks)

    run(test)
