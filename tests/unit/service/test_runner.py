"""What callers are told when the model fails, leaves memory, or answers nonsense."""

from collections.abc import Callable

import numpy as np
import pytest
from batcher_bench import FOREVER_MS, HOP, LengthModel, assert_answers, run, running, settle

from service.arrays import FloatArray, IntArray
from service.errors import InferenceFailed, OutOfMemory

Answer = tuple[FloatArray, IntArray]


def test_a_failed_batch_fails_only_the_member_at_fault() -> None:
    async def test() -> None:
        model = LengthModel(
            fails=lambda lengths: RuntimeError("planned") if 40 in lengths else None
        )
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


@pytest.mark.parametrize("error", [OutOfMemory, MemoryError])
def test_short_memory_halves_the_batch_down_to_one(error: type[Exception]) -> None:
    def fails(lengths: list[int]) -> Exception | None:
        return error("planned") if len(lengths) * max(lengths) > 100 else None

    async def test() -> None:
        model = LengthModel(fails)
        async with running(
            model, max_batch_size=5, max_padding_ratio=1, max_wait_ms=FOREVER_MS
        ) as bench:
            tasks = [bench.submit(samples) for samples in (50, 50, 50, 40, 120)]
            for task, samples in zip(tasks[:4], (50, 50, 50, 40), strict=True):
                assert_answers(await task, samples)
            with pytest.raises(OutOfMemory, match="not enough memory"):
                await tasks[4]
            assert model.batches == [
                [50, 50, 50, 40, 120],
                [50, 50, 50],
                [50, 50],
                [50],
                [40, 120],
                [40],
                [120],
            ]

    run(test)


def no_rows(logits: FloatArray, frames: IntArray) -> Answer:
    return logits[:0], frames[:0]


def no_lengths(logits: FloatArray, frames: IntArray) -> Answer:
    return logits, frames[:0]


def flat(logits: FloatArray, frames: IntArray) -> Answer:
    return logits[..., 0], frames


def too_long(logits: FloatArray, frames: IntArray) -> Answer:
    return logits, frames + 1


def negative(logits: FloatArray, frames: IntArray) -> Answer:
    return logits, frames - 100


def infinite(logits: FloatArray, frames: IntArray) -> Answer:
    return logits * np.inf, frames


@pytest.mark.parametrize("spoil", [no_rows, no_lengths, flat, too_long, negative, infinite])
def test_an_answer_that_makes_no_sense_is_a_failure(
    spoil: Callable[[FloatArray, IntArray], Answer],
) -> None:
    async def test() -> None:
        model = LengthModel()
        async with running(model) as bench:
            infer = model.infer
            model.infer = lambda waveforms, lengths: spoil(*infer(waveforms, lengths))
            with pytest.raises(InferenceFailed):
                await bench.submit(50)
            model.infer = infer
            assert_answers(await bench.submit(50), 50)

    run(test)


def test_logits_that_are_not_finite_fail_their_own_utterance_only() -> None:
    async def test() -> None:
        model = LengthModel()
        async with running(model, max_wait_ms=FOREVER_MS) as bench:
            infer = model.infer

            def not_finite_for_40(waveforms: FloatArray, lengths: IntArray) -> Answer:
                logits, frames = infer(waveforms, lengths)
                logits[lengths == 40, 0] = np.nan
                logits[lengths == 45, 45 // HOP :] = np.nan  # beyond its end, where nobody looks
                return logits, frames

            model.infer = not_finite_for_40
            tasks = [bench.submit(samples) for samples in (50, 40, 45, 42)]
            for task, samples in zip((tasks[0], *tasks[2:]), (50, 45, 42), strict=True):
                assert_answers(await task, samples)
            with pytest.raises(InferenceFailed):
                await tasks[1]

    run(test)


def test_a_batch_that_everyone_left_is_not_computed() -> None:
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


def test_who_leaves_while_the_batch_is_padded_is_not_computed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def test() -> None:
        model = LengthModel()
        async with running(model, max_wait_ms=FOREVER_MS) as bench:
            tasks = [bench.submit(samples) for samples in (50, 47, 40, 42)]
            pad = bench.batcher._runner.pad

            def leave_and_pad(batch):  # type: ignore[no-untyped-def]
                if len(batch) == 4:
                    tasks[0].cancel()
                return pad(batch)

            monkeypatch.setattr(bench.batcher._runner, "pad", leave_and_pad)
            for task, samples in zip(tasks[1:], (47, 40, 42), strict=True):
                assert_answers(await task, samples)
            assert tasks[0].cancelled()
            assert sorted(model.batches[0]) == [40, 42, 47]
            assert bench.value("cancelled_total") == 1

    run(test)
