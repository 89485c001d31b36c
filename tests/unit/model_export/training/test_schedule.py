from pathlib import Path

import pytest

from model_export.training.schedule import Schedule, matching_arguments, training_arguments


def test_matching_has_its_own_length_rate_and_measure(tmp_path: Path) -> None:
    schedule = Schedule(epochs=5, match_epochs=2, learning_rate=1e-3, match_learning_rate=1e-2)
    learning = training_arguments(schedule, tmp_path)
    matching = matching_arguments(schedule, tmp_path / "matching")
    assert (learning.num_train_epochs, matching.num_train_epochs) == (5, 2)
    assert (learning.learning_rate, matching.learning_rate) == (1e-3, 1e-2)
    assert learning.metric_for_best_model == "eval_cer"
    assert matching.metric_for_best_model == "eval_loss"


def test_steps_replace_epochs(tmp_path: Path) -> None:
    assert training_arguments(Schedule(), tmp_path).max_steps == -1
    assert training_arguments(Schedule(max_steps=7), tmp_path).max_steps == 7


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_the_trainer_computes_in_the_precision(tmp_path: Path, precision) -> None:
    arguments = training_arguments(Schedule(precision=precision), tmp_path)
    assert (arguments.bf16, arguments.fp16) == (precision == "bf16", precision == "fp16")
