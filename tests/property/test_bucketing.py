from hypothesis import given, settings
from hypothesis import strategies as st

from model_export.training.bucketing import BucketBatches

BUDGET = 100


@settings(deadline=None, max_examples=60)
@given(
    sizes=st.lists(st.integers(1, 150), min_size=1, max_size=40),
    seed=st.none() | st.integers(0, 2**32 - 1),
    epoch=st.integers(0, 50),
    ranks=st.integers(1, 5),
)
def test_batches_keep_the_budget_and_lose_nothing(
    sizes: list[int], seed: int | None, epoch: int, ranks: int
) -> None:
    shares = []
    for rank in range(ranks):
        batches = BucketBatches(sizes, BUDGET, seed, rank, ranks)
        batches.set_epoch(epoch)
        shares.append(list(batches))
        assert len(shares[-1]) == len(batches)
    drawn = [batch for share in shares for batch in share]
    for batch in drawn:
        assert len(batch) == 1 or len(batch) * max(sizes[index] for index in batch) <= BUDGET
    indices = sorted(index for batch in drawn for index in batch)
    assert len(set(indices)) == len(indices)
    left_out = len(sizes) - len(indices)
    if seed is None:
        assert left_out == 0
    else:
        assert len({len(share) for share in shares}) == 1
        assert left_out < ranks
        assert left_out == 0 or all(len(batch) == 1 for batch in drawn)
