from hypothesis import given, settings
from hypothesis import strategies as st

from service.packing import (
    BULK_TURN,
    BatchBudget,
    Lane,
    Pending,
    choose_batch,
    choose_lane,
    padding_ratio,
)

MAX_SAMPLES = 400
budgets = st.builds(
    BatchBudget,
    max_batch_samples=st.integers(MAX_SAMPLES // 2, 4 * MAX_SAMPLES),
    max_batch_size=st.integers(1, 6),
    max_padding_ratio=st.floats(0, 1),
)


@st.composite
def queues(draw: st.DrawFn) -> list[Pending]:
    rows = st.tuples(
        st.integers(1, MAX_SAMPLES), st.integers(0, 5).map(float), st.sampled_from(Lane)
    )
    drawn = draw(st.lists(rows, min_size=1, max_size=15))
    return [Pending(key, *row) for key, row in enumerate(drawn)]


def serve(queue: list[Pending], budget: BatchBudget) -> list[list[Pending]]:
    """Every batch until nothing waits."""
    batches: list[list[Pending]] = []
    since_bulk = 0
    while queue:
        lane = choose_lane([one.lane for one in queue], since_bulk)
        batch = choose_batch(queue, lane, budget)
        queue = [one for one in queue if one not in batch]
        since_bulk = 0 if lane is Lane.BULK else since_bulk + 1
        batches.append(batch)
    return batches


@settings(deadline=None, max_examples=150)
@given(queues(), budgets)
def test_no_batch_passes_the_budget(queue: list[Pending], budget: BatchBudget) -> None:
    for batch in serve(queue, budget):
        lengths = [one.samples for one in batch]
        assert len(batch) <= budget.max_batch_size
        assert len(batch) == 1 or max(lengths) * len(lengths) <= budget.max_batch_samples
        assert padding_ratio(lengths) <= budget.max_padding_ratio
        assert len({one.lane for one in batch}) == 1


@settings(deadline=None, max_examples=150)
@given(queues(), budgets)
def test_nothing_is_lost_or_served_twice(queue: list[Pending], budget: BatchBudget) -> None:
    served = [one.key for batch in serve(queue, budget) for one in batch]
    assert sorted(served) == [one.key for one in queue]


@settings(deadline=None, max_examples=150)
@given(queues(), budgets)
def test_every_batch_holds_the_oldest_of_its_lane(
    queue: list[Pending], budget: BatchBudget
) -> None:
    left = {one.key: one for one in queue}
    for batch in serve(queue, budget):
        lane = [one for one in left.values() if one.lane is batch[0].lane]
        assert batch[0].arrived_s == min(one.arrived_s for one in lane)
        for one in batch:
            del left[one.key]


@settings(deadline=None, max_examples=100)
@given(queues(), budgets, st.integers(1, MAX_SAMPLES))
def test_bulk_does_not_starve_under_endless_interactive_work(
    queue: list[Pending], budget: BatchBudget, samples: int
) -> None:
    bulk = {one.key for one in queue if one.lane is Lane.BULK}
    newcomers = (Pending(1000 + n, samples, 100.0 + n) for n in range(10_000))
    since_bulk = batches = 0
    allowed = BULK_TURN * len(bulk)
    while bulk:
        queue = [*queue, next(newcomers)]
        lane = choose_lane([one.lane for one in queue], since_bulk)
        batch = choose_batch(queue, lane, budget)
        queue = [one for one in queue if one not in batch]
        since_bulk = 0 if lane is Lane.BULK else since_bulk + 1
        bulk -= {one.key for one in batch}
        batches += 1
    assert batches <= allowed
