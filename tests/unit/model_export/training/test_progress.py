from types import SimpleNamespace

import pytest

from model_export.training import progress
from model_export.training.progress import ProgressBar, ProgressLines, reporting_callbacks

ARGS = SimpleNamespace(output_dir="runs/xx")
LOSS = {"loss": 1.25, "speed": 99.6, "host_gib": 0.5, "cuda_gib": 2.0, "cuda_reserved_gib": 3.0}
RATES = {"eval_loss": 1.5, "eval_wer": 50.0, "eval_cer": 20.0, "host_gib": 0.5}


def report(callback, state) -> None:
    """Half a run, with an evaluation behind its end that is none of it."""
    callback.on_train_begin(ARGS, state, None)
    state.global_step += 20
    callback.on_step_end(ARGS, state, None)
    callback.on_log(ARGS, state, None, logs=LOSS)
    callback.on_log(ARGS, state, None, logs=RATES)
    callback.on_log(ARGS, state, None, logs={"train_runtime": 1.0})
    callback.on_train_end(ARGS, state, None)
    callback.on_log(ARGS, state, None, logs=RATES)


def test_lines_tell_place_time_left_and_readings(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = iter([100.0, 110.0, 110.0])
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    report(ProgressLines(), SimpleNamespace(global_step=40, max_steps=100))
    assert capsys.readouterr().out.splitlines() == [
        "xx step 60/100, 00:20 left: loss 1.250, 100 s audio/s, peak 0.50 GiB, GPU 2.00 GiB, "
        "reserved 3.00 GiB",
        "xx step 60/100, 00:20 left: dev loss 1.500, WER 50.0 %, CER 20.0 %, peak 0.50 GiB",
    ]


def test_the_bar_begins_where_training_stands(capsys: pytest.CaptureFixture[str]) -> None:
    report(ProgressBar(), SimpleNamespace(global_step=40, max_steps=100))
    printed = capsys.readouterr()
    assert "step 60: dev loss 1.500, WER 50.0 %, CER 20.0 %" in printed.out
    assert "40/100" in printed.err
    assert "60/100" in printed.err
    assert "loss 1.250, 100 s audio/s, dev loss 1.500" in printed.err


@pytest.mark.parametrize(("terminal", "kind"), [(True, ProgressBar), (False, ProgressLines)])
def test_a_bar_is_for_terminals(monkeypatch: pytest.MonkeyPatch, tmp_path, terminal, kind) -> None:
    monkeypatch.setattr(progress.sys.stdout, "isatty", lambda: terminal)
    assert isinstance(reporting_callbacks(tmp_path)[0], kind)
