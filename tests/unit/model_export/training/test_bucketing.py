from model_export.training.bucketing import BucketBatches


def test_batches_are_full_and_of_like_size() -> None:
    batches = BucketBatches([5, 1, 4, 2, 9], budget=10, seed=None)
    assert list(batches) == [[1, 3], [2, 0], [4]] == list(batches)
    assert len(batches) == 3


def test_what_exceeds_the_budget_is_alone() -> None:
    assert list(BucketBatches([30, 3, 3, 40], budget=10, seed=None)) == [[1, 2], [0], [3]]


def test_the_order_is_a_function_of_seed_and_epoch() -> None:
    def order(seed: int, epoch: int) -> list[list[int]]:
        batches = BucketBatches(range(100, 160), budget=500, seed=seed)
        batches.set_epoch(epoch)
        return list(batches)

    assert order(1, 2) == order(1, 2)
    assert order(1, 2) != order(1, 3)
    assert order(1, 2) != order(2, 2)
    assert sorted(order(1, 2)) == sorted(order(2, 3))


def test_processes_share_an_epoch_out_and_take_as_many_steps() -> None:
    sizes = [7, 3, 3, 3, 3, 3, 3, 9, 1]
    ranks = [BucketBatches(sizes, budget=9, seed=1, rank=rank, ranks=4) for rank in range(4)]
    assert {len(batches) for batches in ranks} == {2}
    for epoch in range(3):
        for batches in ranks:
            batches.set_epoch(epoch)
        drawn = [list(batches) for batches in ranks]
        assert {len(batches) for batches in drawn} == {2}
        assert sorted(i for batches in drawn for batch in batches for i in batch) == [*range(9)]


def test_what_cannot_be_shared_out_evenly_is_another_clip_in_each_epoch() -> None:
    left_out = set()
    for epoch in range(20):
        drawn = set()
        for rank in range(2):
            batches = BucketBatches([8, 9, 10], budget=10, seed=1, rank=rank, ranks=2)
            batches.set_epoch(epoch)
            drawn |= {index for batch in batches for index in batch}
        assert len(drawn) == 2
        left_out |= {0, 1, 2} - drawn
    assert left_out == {0, 1, 2}


def test_evaluation_leaves_nothing_out() -> None:
    ranks = [list(BucketBatches([8, 9, 10], 10, None, rank=rank, ranks=2)) for rank in range(2)]
    assert ranks == [[[0], [2]], [[1]]]
