from types import SimpleNamespace

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from model_export.training.tensorboard_log import TensorBoardLog, has_tensorboard


def test_curves_of_a_resumed_run_show_each_step_once(tmp_path) -> None:
    assert has_tensorboard()
    for began, steps in ((0, (1, 2, 3)), (2, (3, 4))):
        log, state = TensorBoardLog(tmp_path), SimpleNamespace(global_step=began)
        log.on_train_begin(None, state, None)
        for state.global_step in steps:
            log.on_log(None, state, None, logs={"loss": 10.0 * state.global_step + began})
        log.on_log(None, state, None, logs={"eval_cer": 20.0, "host_gib": 1.0})
        log.on_train_end(None, state, None)
        log.on_log(None, state, None, logs={"eval_cer": 99.0})
    curves = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    losses = [(point.step, point.value) for point in curves.Scalars("train/loss")]
    assert losses == [(1, 10.0), (2, 20.0), (3, 32.0), (4, 42.0)]
    assert [(point.step, point.value) for point in curves.Scalars("eval/cer")] == [(4, 20.0)]
    assert curves.Tags()["scalars"] == ["train/loss", "eval/cer", "train/host_gib"]
