from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from model_export.checkpoint import ModelSpec, build_from_spec
from model_export.data import Corpus
from model_export.training.objective import CtcObjective
from model_export.training.schedule import Schedule, training_arguments
from model_export.training.trainer import Outcome, SelectiveTrainer
from model_export.training.training_data import WaveformExamples
from model_export.transcripts.normalisation import encode


@pytest.fixture
def measured() -> list[Outcome]:
    """What the last evaluation measured."""
    return []


@pytest.fixture
def make_trainer(spec: ModelSpec, spoken: Corpus, tmp_path: Path, measured: list[Outcome]):
    """Makes trainers of one model on the same clips."""

    def make(batch_s: float, **changes: object) -> SelectiveTrainer:
        torch.manual_seed(0)
        model = build_from_spec(spec)
        objective = CtcObjective(model, first_layer=1, cached=False, blank_id=0, spec=None)
        labels = [encode(clip.text, spec.vocabulary) for clip in spoken.clips]
        examples = WaveformExamples(spoken.clips, labels, copies=1)

        def measure(outcomes: Sequence[Outcome]) -> dict[str, float]:
            measured[:] = sorted(outcomes, key=lambda outcome: outcome.labels)
            return {"cer": 50.0}

        return SelectiveTrainer(
            batch_s=batch_s,
            unit_hz=16000,
            measure=measure,
            model=objective,
            args=training_arguments(Schedule(**changes), tmp_path),
            train_dataset=examples,
            eval_dataset=examples,
        )

    return make


def test_an_evaluation_is_the_mean_over_utterances_whatever_their_batches(
    make_trainer, measured: list[Outcome], spec: ModelSpec, spoken: Corpus
) -> None:
    alone = make_trainer(0.1).evaluate()
    outcomes = list(measured)
    together = make_trainer(5.6).evaluate()
    assert together["eval_cer"] == 50.0
    assert together["eval_loss"] == pytest.approx(alone["eval_loss"], rel=1e-5)
    texts = sorted(encode(clip.text, spec.vocabulary) for clip in spoken.clips)
    assert [outcome.labels for outcome in outcomes] == texts
    for one, other in zip(outcomes, measured, strict=True):
        assert other.loss == pytest.approx(one.loss, rel=1e-4)
        assert other.predictions == one.predictions
        assert other.predictions


def test_bfloat16_trains_to_nearly_the_same(make_trainer) -> None:
    losses = {}
    for precision in ("fp32", "bf16"):
        trainer = make_trainer(30, precision=precision, epochs=3)
        trainer.train()
        losses[precision] = [log["loss"] for log in trainer.state.log_history if "loss" in log]
        assert {value.dtype for value in trainer.model.parameters()} == {torch.float32}
    assert losses["bf16"] != losses["fp32"]
    assert losses["bf16"] == pytest.approx(losses["fp32"], rel=0.05)


def test_clips_that_other_processes_read_are_the_same(make_trainer) -> None:
    weights = []
    for processes in (0, 2):
        trainer = make_trainer(6, epochs=2)
        trainer.args.dataloader_num_workers = processes
        trainer.train()
        weights.append(trainer.model.state_dict())
    torch.testing.assert_close(weights[0], weights[1], rtol=0, atol=0)


def test_logs_tell_speed_and_memory(make_trainer) -> None:
    trainer = make_trainer(30, epochs=1)
    trainer.train()
    log = next(log for log in trainer.state.log_history if "loss" in log)
    assert log["speed"] > 0
    assert log["host_gib"] > 0
