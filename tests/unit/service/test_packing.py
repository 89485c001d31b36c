import numpy as np
import pytest

from service.errors import EmptyAudio
from service.packing import (
    BULK_TURN,
    BatchBudget,
    Lane,
    Pending,
    choose_batch,
    choose_lane,
    is_full,
    pad_waveforms,
    padding_ratio,
)

BUDGET = BatchBudget(max_batch_samples=1000, max_batch_size=4, max_padding_ratio=0.5)


def waiting(*lengths: int) -> list[Pending]:
    return [Pending(key, samples, float(key)) for key, samples in enumerate(lengths)]


def keys(batch: list[Pending]) -> list[int]:
    return [one.key for one in batch]


def test_the_oldest_leads_and_nearest_lengths_join_first() -> None:
    batch = choose_batch(waiting(100, 180, 90, 105, 60), Lane.INTERACTIVE, BUDGET)
    assert keys(batch) == [0, 3, 2, 4]


def test_order_of_arrival_decides_not_the_order_of_the_list() -> None:
    late, early = Pending(1, 50, 9.0), Pending(2, 50, 3.0)
    assert keys(choose_batch([late, early], Lane.INTERACTIVE, BUDGET)) == [2, 1]


def test_a_longer_one_that_breaks_the_budget_leaves_room_for_a_shorter_one() -> None:
    budget = BatchBudget(max_batch_samples=300, max_batch_size=8, max_padding_ratio=0.5)
    assert keys(choose_batch(waiting(100, 160, 20), Lane.INTERACTIVE, budget)) == [0, 2]


def test_much_padding_keeps_lengths_apart() -> None:
    budget = BatchBudget(max_batch_samples=10_000, max_batch_size=8, max_padding_ratio=0.25)
    assert keys(choose_batch(waiting(100, 400, 80), Lane.INTERACTIVE, budget)) == [0, 2]


def test_no_padding_joins_equal_lengths_only() -> None:
    budget = BatchBudget(max_batch_samples=10_000, max_batch_size=8, max_padding_ratio=0)
    assert keys(choose_batch(waiting(100, 99, 100, 101), Lane.INTERACTIVE, budget)) == [0, 2]


def test_lanes_do_not_share_a_batch() -> None:
    pending = [Pending(0, 50, 0.0, Lane.BULK), Pending(1, 50, 1.0)]
    assert keys(choose_batch(pending, Lane.INTERACTIVE, BUDGET)) == [1]
    assert keys(choose_batch(pending, Lane.BULK, BUDGET)) == [0]


def test_interactive_goes_first_but_bulk_has_its_turn() -> None:
    both = [Lane.BULK, Lane.INTERACTIVE]
    assert choose_lane(both, 0) is Lane.INTERACTIVE
    assert choose_lane(both, BULK_TURN - 1) is Lane.BULK
    assert choose_lane([Lane.BULK], 0) is Lane.BULK
    assert choose_lane([Lane.INTERACTIVE], 99) is Lane.INTERACTIVE


@pytest.mark.parametrize(
    ("lengths", "full"),
    [((100,), False), ((500,), False), ((501,), True), ((100, 100, 100, 100), True)],
)
def test_full_means_that_no_equal_one_fits(lengths: tuple[int, ...], full: bool) -> None:
    assert is_full(waiting(*lengths), BUDGET) is full


def test_padding_ratio_is_the_part_that_is_not_audio() -> None:
    assert padding_ratio([100, 50]) == pytest.approx(0.25)
    assert padding_ratio([7]) == 0


def test_padding_is_zero_after_each_end() -> None:
    batch, lengths = pad_waveforms([np.ones(3, np.float32), np.full(5, 2, np.float32)])
    assert batch.tolist() == [[1, 1, 1, 0, 0], [2, 2, 2, 2, 2]]
    assert lengths.tolist() == [3, 5]
    assert (batch.dtype, lengths.dtype) == (np.float32, np.int64)


def test_an_utterance_without_samples_is_refused() -> None:
    with pytest.raises(EmptyAudio, match="utterance 1 "):
        pad_waveforms([np.ones(3, np.float32), np.zeros(0, np.float32)])
