from service.lanes import PATIENCE, Lane, Turns


def served(turns: Turns, waiting: set[Lane], batches: int) -> list[Lane]:
    """Lanes of the next batches, if somebody always waits in these."""
    lanes = []
    for _ in range(batches):
        lanes.append(turns.next(waiting))
        turns.take(lanes[-1], waiting)
    return lanes


def test_the_most_urgent_goes_first() -> None:
    assert Turns().next({Lane.BULK, Lane.LIVE, Lane.INTERACTIVE}) is Lane.LIVE
    assert Turns().next({Lane.BULK, Lane.INTERACTIVE}) is Lane.INTERACTIVE
    assert Turns().next({Lane.BULK}) is Lane.BULK


def test_whoever_was_passed_over_often_enough_has_a_turn() -> None:
    urgent, bulk = Lane.INTERACTIVE, Lane.BULK
    lanes = served(Turns(), {urgent, bulk}, 2 * (PATIENCE + 1))
    assert lanes == 2 * [*[urgent] * PATIENCE, bulk]


def test_two_turns_at_once_come_one_after_the_other() -> None:
    lanes = served(Turns(), set(Lane), PATIENCE + 3)
    assert lanes == [*[Lane.LIVE] * PATIENCE, Lane.INTERACTIVE, Lane.BULK, Lane.LIVE]


def test_only_those_who_wait_are_passed_over() -> None:
    turns = Turns()
    served(turns, {Lane.INTERACTIVE, Lane.BULK}, PATIENCE)
    served(turns, {Lane.INTERACTIVE}, 1)
    assert turns.next({Lane.INTERACTIVE, Lane.BULK}) is Lane.INTERACTIVE
