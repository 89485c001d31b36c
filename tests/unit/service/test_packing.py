import numpy as np
import pytest

from service.errors import EmptyAudio
from service.packing import (
    BatchBudget,
    Line,
    Pending,
    choose_batch,
    fair_share,
    is_full,
    pad_waveforms,
    padding_ratio,
)

BUDGET = BatchBudget(max_batch_samples=1000, max_batch_size=4, max_padding_ratio=0.5)


def pending(*lengths: int) -> list[Pending]:
    return [Pending(key, samples, float(key)) for key, samples in enumerate(lengths)]


def waiting(*lengths: int) -> Line:
    line = Line()
    for one in pending(*lengths):
        line.add(one)
    return line


def keys(batch: list[Pending]) -> list[int]:
    return [one.key for one in batch]


def test_the_oldest_leads_and_nearest_lengths_join_first() -> None:
    assert keys(choose_batch(waiting(100, 180, 90, 105, 60), BUDGET)) == [0, 3, 2, 4]


def test_a_longer_one_that_breaks_the_budget_leaves_room_for_a_shorter_one() -> None:
    budget = BatchBudget(max_batch_samples=300, max_batch_size=8, max_padding_ratio=0.5)
    assert keys(choose_batch(waiting(100, 160, 20), budget)) == [0, 2]


def test_much_padding_keeps_lengths_apart() -> None:
    budget = BatchBudget(max_batch_samples=10_000, max_batch_size=8, max_padding_ratio=0.25)
    assert keys(choose_batch(waiting(100, 400, 80), budget)) == [0, 2]


def test_no_padding_joins_equal_lengths_only() -> None:
    budget = BatchBudget(max_batch_samples=10_000, max_batch_size=8, max_padding_ratio=0)
    assert keys(choose_batch(waiting(100, 99, 100, 101), budget)) == [0, 2]


def test_a_line_forgets_who_leaves() -> None:
    line = waiting(100, 100, 90, 100)
    first, _, third, _ = list(line)
    line.remove(first)
    line.remove(third)
    assert (len(line), line.samples) == (2, 200)
    assert keys(choose_batch(line, BUDGET)) == [1, 3]


def test_idle_sessions_share_who_waits() -> None:
    assert [fair_share(5, 2), fair_share(3, 1), fair_share(1, 2)] == [3, 3, 1]


@pytest.mark.parametrize(
    ("lengths", "full"),
    [((100,), False), ((500,), False), ((501,), True), ((100, 100, 100, 100), True)],
)
def test_full_means_that_no_equal_one_fits(lengths: tuple[int, ...], full: bool) -> None:
    assert is_full(pending(*lengths), BUDGET) is full


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
