import signal
from types import SimpleNamespace

import pytest

from model_export.training.stopping import SignalStop, has_stalled


@pytest.mark.parametrize(
    ("rates", "patience", "stalled"),
    [
        ([], 1, False),
        ([5.0], 1, False),
        ([5.0, 5.0], 1, True),
        ([5.0, 4.0], 1, False),
        ([5.0, 4.0, 4.5, 4.0], 3, False),
        ([5.0, 4.0, 4.5, 4.0], 2, True),
    ],
)
def test_stalled_is_no_better_for_so_many_evaluations(rates, patience, stalled) -> None:
    log = [entry for rate in rates for entry in ({"loss": 1.0}, {"cer": rate})]
    assert has_stalled(log, "cer", patience) == stalled


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_asks_and_the_second_does_what_it_always_does(number) -> None:
    received = []
    before = signal.signal(number, lambda *_: received.append("ours"))
    try:
        stop, control = SignalStop(), SimpleNamespace(should_save=False, should_training_stop=False)
        with stop.listening():
            stop.on_step_end(None, SimpleNamespace(global_step=1, max_steps=9), control)
            assert not control.should_training_stop
            signal.raise_signal(number)
            assert received == []
            stop.on_step_end(None, SimpleNamespace(global_step=2, max_steps=9), control)
            assert control.should_save
            assert control.should_training_stop
            assert stop.stopped
            signal.raise_signal(number)
            assert received == ["ours"]
    finally:
        signal.signal(number, before)


def test_a_signal_in_the_last_step_changes_nothing() -> None:
    stop, control = SignalStop(), SimpleNamespace(should_save=False, should_training_stop=False)
    before = signal.getsignal(signal.SIGTERM)
    with stop.listening():
        signal.raise_signal(signal.SIGTERM)
        stop.on_step_end(None, SimpleNamespace(global_step=9, max_steps=9), control)
    assert not stop.stopped
    assert signal.getsignal(signal.SIGTERM) is before
