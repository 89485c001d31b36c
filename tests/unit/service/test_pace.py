import pytest

from service.pace import Pace


def measured(*runs: tuple[float, float, float]) -> Pace:
    """A pace after many batches; each begins, ends, and has so many seconds of audio."""
    pace = Pace()
    events = sorted(
        (at_s, order, audio_s)
        for begins_s, ends_s, audio_s in runs
        for at_s, order, audio_s in ((ends_s, 0, audio_s), (begins_s, 1, audio_s))
    )
    for at_s, order, audio_s in events:
        (pace.begin if order else pace.end)(audio_s, at_s)
    return pace


def test_it_guesses_before_it_has_measured() -> None:
    assert Pace().expected_s(7) == pytest.approx(7)


def test_it_learns_what_the_model_does() -> None:
    pace = measured(*((n, n + 1, 50.0) for n in range(100)))
    assert pace.expected_s(100) == pytest.approx(2)


def test_sessions_add_up() -> None:
    in_step = measured(*((n, n + 1, 50.0) for n in range(100) for _ in range(2)))
    assert in_step.expected_s(100) == pytest.approx(1, rel=0.2)  # the last one counts most
    in_turn = measured(*((n / 2, n / 2 + 1, 50.0) for n in range(200)))
    assert in_turn.expected_s(100) == pytest.approx(1)


def test_time_in_which_nothing_runs_does_not_count() -> None:
    pace = measured(*((10 * n, 10 * n + 1, 50.0) for n in range(100)))
    assert pace.expected_s(100) == pytest.approx(2)


def test_what_is_in_work_must_be_done_first() -> None:
    pace = measured(*((n, n + 1, 50.0) for n in range(100)))
    pace.begin(25.0, 100.0)
    assert pace.expected_s(100) == pytest.approx(2.5)
