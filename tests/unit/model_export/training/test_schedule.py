from pathlib import Path
from types import SimpleNamespace

import pytest
from transformers.trainer_callback import TrainerState

from model_export.training import schedule
from model_export.training.schedule import (
    Schedule,
    loading_processes,
    matching_arguments,
    training_arguments,
)


def test_matching_has_its_own_length_rate_and_measure(tmp_path: Path) -> None:
    matched = Schedule(epochs=5, match_epochs=2, learning_rate=1e-3, match_learning_rate=1e-2)
    learning = training_arguments(matched, tmp_path)
    matching = matching_arguments(matched, tmp_path / "matching")
    assert (learning.num_train_epochs, matching.num_train_epochs) == (5, 2)
    assert (learning.learning_rate, matching.learning_rate) == (1e-3, 1e-2)
    assert learning.metric_for_best_model == "eval_cer"
    assert matching.metric_for_best_model == "eval_loss"


def test_steps_replace_epochs(tmp_path: Path) -> None:
    assert training_arguments(Schedule(), tmp_path).max_steps == -1
    assert training_arguments(Schedule(max_steps=7), tmp_path).max_steps == 7


@pytest.mark.parametrize(("evaluations", "steps"), [(1, 1200), (2, 600), (20, 60)])
def test_a_run_is_evaluated_so_many_times(tmp_path: Path, evaluations: int, steps: int) -> None:
    arguments = training_arguments(Schedule(evaluations=evaluations), tmp_path)
    state = TrainerState()
    state.compute_steps(arguments, max_steps=1200)
    assert (state.eval_steps, state.save_steps) == (steps, steps)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_the_trainer_computes_in_the_precision(tmp_path: Path, precision) -> None:
    arguments = training_arguments(Schedule(precision=precision), tmp_path)
    assert (arguments.bf16, arguments.fp16) == (precision == "bf16", precision == "fp16")


def test_a_gpu_is_fed_by_as_many_processes_as_shared_memory_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert loading_processes(60.0) == 0
    monkeypatch.setattr(schedule, "has_accelerator", lambda: True)
    monkeypatch.setattr(schedule, "usable_cores", lambda: 8)
    monkeypatch.setattr(schedule, "SHARED_MEMORY", tmp_path / "nowhere")
    assert loading_processes(60.0) == 7
    monkeypatch.setattr(schedule, "SHARED_MEMORY", tmp_path)
    free = SimpleNamespace(free=64 * 2**20)
    monkeypatch.setattr(schedule.shutil, "disk_usage", lambda _: free)
    assert loading_processes(60.0) == 4
