from hypothesis import given, settings
from hypothesis import strategies as st

from model_export.training_data import BucketBatches

BUDGET = 100


@settings(deadline=None, max_examples=60)
@given(
    sizes=st.lists(st.integers(1, 150), min_size=1, max_size=40),
    seed=st.none() | st.integers(0, 2**32 - 1),
    epoch=st.integers(0, 50),
)
def test_batches_keep_the_budget_and_lose_nothing(
    sizes: list[int], seed: int | None, epoch: int
) -> None:
    batches = BucketBatches(sizes, BUDGET, seed)
    batches.set_epoch(epoch)
    drawn = list(batches)
    assert len(drawn) == len(batches)
    assert sorted(index for batch in drawn for index in batch) == list(range(len(sizes)))
    for batch in drawn:
        assert len(batch) == 1 or len(batch) * max(sizes[index] for index in batch) <= BUDGET
