"""Which batches start when; on real threads, with a model that is held."""

import asyncio
import threading
from collections.abc import Sequence

import pytest
from batcher_bench import FOREVER_MS, LengthModel, assert_answers, run, running, settle

from service import runner
from service.arrays import FloatArray, IntArray
from service.batcher import Lane

Padding = list[list[int]]


@pytest.fixture
def padding(monkeypatch: pytest.MonkeyPatch) -> Padding:
    """Lengths of every batch that was padded, in order."""
    done: Padding = []
    pad_waveforms = runner.pad_waveforms

    def pad(waveforms: Sequence[FloatArray]) -> tuple[FloatArray, IntArray]:
        done.append([waveform.size for waveform in waveforms])
        return pad_waveforms(waveforms)

    monkeypatch.setattr(runner, "pad_waveforms", pad)
    return done


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


def test_the_session_that_is_left_idle_is_for_live_streams_even_out_of_turn() -> None:
    async def test() -> None:
        model = LengthModel()
        async with running(model, sessions=2, max_batch_size=1) as bench:
            bench.batcher.make_way(True)
            with model.held():
                bulk = [bench.submit(50, lane=Lane.BULK) for _ in range(2)]
                await model.entered()
                await settle()
                # So many that both sessions get their share, however slowly a thread goes on.
                live = [bench.submit(40, lane=Lane.LIVE) for _ in range(90)]
                await model.entered()
                await settle()
                assert model.batches == [[50], [40]]
            await asyncio.gather(*bulk, *live)
            assert model.batches.index([50], 1) < len(model.batches) - 1  # in its turn

    run(test)


def test_while_it_makes_way_one_session_stays_idle_if_there_are_several() -> None:
    async def test(sessions: int, at_once: int) -> None:
        model = LengthModel()
        async with running(model, sessions=sessions, max_batch_size=1) as bench:
            bench.batcher.make_way(True)
            with model.held():
                tasks = [bench.submit(50) for _ in range(2)]
                await model.entered()
                await settle()
                assert len(model.batches) == at_once
                bench.batcher.make_way(False)
                while len(model.batches) < sessions:
                    await settle()
            await asyncio.gather(*tasks)

    run(lambda: test(sessions=2, at_once=1))
    run(lambda: test(sessions=1, at_once=1))


def test_a_full_batch_does_not_wait() -> None:
    async def test() -> None:
        model = LengthModel()
        async with running(model, max_wait_ms=FOREVER_MS) as bench:
            await asyncio.gather(*(bench.submit(50) for _ in range(4)))
            assert model.batches == [[50] * 4]
            assert bench.value("batches_total", reason="full") == 1

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


@pytest.mark.parametrize("lane", Lane)
def test_a_full_batch_is_padded_while_one_runs_and_goes_on_waiting(
    padding: Padding, lane: Lane
) -> None:
    async def test() -> None:
        model = LengthModel()
        async with running(model) as bench:
            with model.held():
                tasks = [bench.submit(50, lane=lane)]
                await model.entered()
                tasks += [bench.submit(40, lane=lane) for _ in range(6)]
                await settle()
                assert bench.value("queue_size", lane=lane) == 6
                tasks.append(bench.submit(40, lane=lane))
                await settle()
                assert padding == [[50], [40] * 4]
            await asyncio.gather(*tasks)
            assert model.batches == padding == [[50], [40] * 4, [40] * 3]

    run(test)


@pytest.mark.parametrize("urgent", [Lane.LIVE, Lane.INTERACTIVE])
def test_what_is_prepared_steps_back_for_who_is_more_urgent(padding: Padding, urgent: Lane) -> None:
    async def test() -> None:
        model = LengthModel()
        async with running(model) as bench:
            with model.held():
                tasks = [bench.submit(50, lane=Lane.BULK)]
                await model.entered()
                tasks += [bench.submit(40, lane=Lane.BULK) for _ in range(4)]
                await settle()
                assert padding == [[50], [40] * 4]
                tasks.append(bench.submit(30, lane=urgent))
                await settle()
            await asyncio.gather(*tasks)
            assert model.batches == [[50], [30], [40] * 4]

    run(test)


def test_a_prepared_batch_that_somebody_left_is_chosen_anew(padding: Padding) -> None:
    async def test() -> None:
        model = LengthModel()
        async with running(model) as bench:
            with model.held():
                tasks = [bench.submit(50)]
                await model.entered()
                tasks += [bench.submit(samples) for samples in (40, 41, 42, 43, 44)]
                await settle()
                tasks.pop(2).cancel()
                await settle()
            await asyncio.gather(*tasks)
            assert model.batches == [[50], [40, 42, 43, 44]]
            assert padding == [[50], [40, 41, 42, 43], [40, 42, 43, 44]]

    run(test)


def test_as_many_batches_run_at_once_as_there_are_sessions() -> None:
    async def test() -> None:
        model = LengthModel()
        async with running(model, sessions=3, max_batch_size=1) as bench:
            with model.held():
                tasks = [bench.submit(samples) for samples in (50, 40, 30, 20)]
                for _ in range(3):
                    await model.entered()
                await settle()
                assert sorted(model.batches) == [[30], [40], [50]]
                assert bench.value("queue_size", lane="interactive") == 1
            await asyncio.gather(*tasks)
            assert len(model.threads) <= 4

    run(test)


def test_idle_sessions_share_what_waits() -> None:
    async def test() -> None:
        model = LengthModel()
        async with running(model, sessions=2, max_wait_ms=FOREVER_MS) as bench:
            with model.held():
                tasks = [bench.submit(50) for _ in range(4)]  # full, so nobody waits for company
                await model.entered()
                await settle()
                assert model.batches == [[50] * 2]
                tasks += [bench.submit(50) for _ in range(2)]
                await model.entered()
                assert model.batches == [[50] * 2, [50] * 4]
            await asyncio.gather(*tasks)

    run(test)


def test_the_next_session_is_for_the_most_urgent_even_if_bulk_has_them_all() -> None:
    async def test() -> None:
        model = LengthModel()
        async with running(model, sessions=2, max_batch_size=1) as bench:
            with model.held():
                tasks = [bench.submit(90, lane=Lane.BULK) for _ in range(6)]
                await model.entered()
                await model.entered()
                tasks += [bench.submit(samples) for samples in (30, 31)]
                await settle()
                assert model.batches == [[90], [90]]
            await asyncio.gather(*tasks)
            assert sorted(model.batches[2:4]) == [[30], [31]]

    run(test)
