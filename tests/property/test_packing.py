from hypothesis import given, settings
from hypothesis import strategies as st

from service.lanes import PATIENCE, Lane, Turns
from service.packing import BatchBudget, Line, Pending, choose_batch, fair_share, padding_ratio

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
    lines = {lane: Line() for lane in Lane}
    for one in queue:
        lines[one.lane].add(one)
    turns = Turns()
    while waiting := [lane for lane, line in lines.items() if len(line)]:
        lane = turns.next(waiting)
        turns.take(lane, waiting)
        batches.append(choose_batch(lines[lane], budget))
        for one in batches[-1]:
            lines[lane].remove(one)
    assert all(line.samples == 0 for line in lines.values())
    return batches


@settings(deadline=None, max_examples=150)
@given(queues(), budgets)
def test_no_batch_and_no_beginning_of_one_passes_the_budget(
    queue: list[Pending], budget: BatchBudget
) -> None:
    for batch in serve(queue, budget):
        for size in range(1, len(batch) + 1):
            lengths = [one.samples for one in batch[:size]]
            assert size <= budget.max_batch_size
            assert size == 1 or max(lengths) * size <= budget.max_batch_samples
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
        assert batch[0].key == min(key for key, one in left.items() if one.lane is batch[0].lane)
        for one in batch:
            del left[one.key]


@settings(deadline=None, max_examples=200)
@given(st.lists(st.sets(st.sampled_from(Lane), min_size=1), max_size=60))
def test_no_lane_is_passed_over_for_long(rounds: list[set[Lane]]) -> None:
    turns = Turns()
    passed = dict.fromkeys(Lane, 0)
    for waiting in rounds:
        lane = turns.next(waiting)
        turns.take(lane, waiting)
        assert lane in waiting
        for other in Lane:
            passed[other] = passed[other] + 1 if other in waiting - {lane} else 0
        assert passed[Lane.LIVE] <= len(Lane) - 1
        assert max(passed.values()) <= PATIENCE + 1


@given(st.sampled_from(Lane), st.integers(1, 9))
def test_who_is_most_urgent_does_not_wait_for_a_lane_just_served(lane: Lane, batches: int) -> None:
    turns = Turns()
    for _ in range(batches):
        turns.take(Lane.BULK, {Lane.BULK})
    assert turns.next({Lane.BULK, lane}) is lane


@given(st.integers(1, 200), st.integers(1, 8))
def test_shares_leave_no_session_without_work(waiting: int, idle: int) -> None:
    shares = []
    for sessions in range(idle, 0, -1):
        shares.append(fair_share(waiting - sum(shares), sessions))
    assert sum(shares) == waiting
    assert max(shares) - min(shares) <= 1
