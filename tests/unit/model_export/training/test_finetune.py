import json
import math
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import soundfile
import torch
from safetensors.torch import load_file
from torch import Tensor
from transformers import TrainerCallback

from model_export.checkpoint import WEIGHTS_FILE, ModelSpec, build_from_spec, load_checkpoint
from model_export.data import Clip, Corpus
from model_export.errors import CheckpointInvalid, ManifestInvalid, TrainingRefused, TrainingStopped
from model_export.mixing.freezing import trained_tensors
from model_export.training import running
from model_export.training.finetune import FineTuning
from model_export.training.schedule import Schedule

SHORT = Schedule(epochs=4, learning_rate=3e-3, batch_s=10, copies=2, seed=3)
STOPPED_AFTER = 10  # steps; between two checkpoints and in the middle of an epoch


class Killed(BaseException):
    """Stands for SIGKILL: nothing may be written behind it."""


class Interrupting(TrainerCallback):
    """Does something at a step of training, but not while mixers imitate attention.

    Args:
        act: what.
    """

    def __init__(self, act: Callable[[], None], step: int = STOPPED_AFTER) -> None:
        self._act = act
        self._step = step

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == self._step:
            self._act()


def kill() -> None:
    raise Killed


def logged(out: Path, name: str) -> list[float]:
    """Everything that the last of the trainer's checkpoints remembers of a reading."""
    state = json.loads((last_checkpoint(out) / "trainer_state.json").read_text())
    return [entry[name] for entry in state["log_history"] if name in entry]


def last_checkpoint(out: Path) -> Path:
    return max(out.glob("checkpoint-*"), key=lambda path: int(path.name.partition("-")[2]))


def final_weights(out: Path) -> dict[str, Tensor]:
    """Of the last step, and of the best one."""
    last = load_file(last_checkpoint(out) / "model.safetensors")
    return last | {f"best.{name}": value for name, value in load_file(out / WEIGHTS_FILE).items()}


@pytest.mark.parametrize("cached", [False, True])
def test_a_few_clips_can_be_learnt_by_heart(
    spec: ModelSpec, spoken: Corpus, tmp_path: Path, cached: bool
) -> None:
    # Masks would hide what little there is.
    schedule = Schedule(epochs=60, learning_rate=1e-2, batch_s=12, masking=None, seed=0)
    run = FineTuning(
        spec,
        out=tmp_path / "out",
        schedule=schedule,
        cache_dir=tmp_path / "cache" if cached else None,
    )
    frozen = {name: value.clone() for name, value in run.model.named_parameters()}
    rates = run.run(spoken, spoken)

    losses = logged(tmp_path / "out", "loss")
    assert all(math.isfinite(loss) for loss in losses)
    assert losses[-1] < losses[0] / 2
    assert rates["eval_loss"] < logged(tmp_path / "out", "eval_loss")[0] / 2
    assert rates["eval_cer"] < 50
    learnt = trained_tensors(run.model)
    for name, value in run.model.named_parameters():
        assert torch.equal(value, frozen[name]) != (name in learnt), name
    _, loaded = load_checkpoint(tmp_path / "out")
    torch.testing.assert_close(trained_tensors(loaded), learnt)


def test_streams_can_be_learnt_too(
    streaming_spec: ModelSpec, spoken: Corpus, tmp_path: Path
) -> None:
    schedule = Schedule(
        epochs=80, match_epochs=2, learning_rate=6e-3, batch_s=12, masking=None, seed=0
    )
    run = FineTuning(streaming_spec, out=tmp_path / "out", schedule=schedule)
    before = {name: value.clone() for name, value in run.model.named_parameters()}
    rates = run.run(spoken, spoken)

    assert rates["eval_loss"] < logged(tmp_path / "out", "eval_loss")[0] / 2
    assert rates["eval_cer"] < 70  # a letter lasts longer than half a window of 3 frames
    for name, value in run.model.named_parameters():
        assert not torch.equal(value, before[name]), name
    spec, loaded = load_checkpoint(tmp_path / "out")
    assert spec.chunk_frames == 8
    torch.testing.assert_close(trained_tensors(loaded), trained_tensors(run.model))


def test_nothing_of_a_stream_is_cached(streaming_spec: ModelSpec, tmp_path: Path) -> None:
    with pytest.raises(TrainingRefused, match="all layers learn"):
        FineTuning(streaming_spec, out=tmp_path, schedule=SHORT, cache_dir=tmp_path / "cache")


def test_a_stopped_stream_ends_as_if_it_had_not_been(
    streaming_spec: ModelSpec, spoken: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(out: str) -> dict[str, float]:
        schedule = replace(SHORT, epochs=2)
        return FineTuning(streaming_spec, out=tmp_path / out, schedule=schedule).run(spoken, spoken)

    expected = start("whole")
    with monkeypatch.context() as patch:
        patch.setattr(running, "reporting_callbacks", lambda _: [Interrupting(kill, step=4)])
        with pytest.raises(Killed):
            start("stopped")
    torch.rand(99)
    assert start("stopped") == expected
    torch.testing.assert_close(
        final_weights(tmp_path / "stopped"), final_weights(tmp_path / "whole"), rtol=0, atol=0
    )


@pytest.mark.parametrize(
    ("changes", "signalled"),
    [
        ({"epochs": 2}, False),
        ({"epochs": 2, "augment_batches": True}, False),
        ({"accumulate": 2, "epochs": 8, "precision": "bf16"}, False),
        ({"accumulate": 2, "epochs": 8, "precision": "bf16"}, True),
    ],
)
def test_a_run_that_was_stopped_ends_as_if_it_had_not_been(
    spec: ModelSpec,
    spoken: Corpus,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, Any],
    signalled: bool,
) -> None:
    schedule = replace(SHORT, **changes)

    def start(out: str) -> dict[str, float]:
        cache_dir = tmp_path / "cache" if "precision" in changes else None
        run = FineTuning(spec, out=tmp_path / out, schedule=schedule, cache_dir=cache_dir)
        return run.run(spoken, spoken)

    def end() -> None:
        signal.raise_signal(signal.SIGTERM)

    expected = start("whole")
    with monkeypatch.context() as patch:
        stop = Interrupting(end if signalled else kill)
        patch.setattr(running, "reporting_callbacks", lambda _: [stop])
        with pytest.raises(TrainingStopped if signalled else Killed, match=r"step 11 of|^$"):
            start("stopped")
    stopped_at = int(last_checkpoint(tmp_path / "stopped").name.partition("-")[2])
    torch.rand(99)  # nothing may depend on where the global generator stands
    found = start("stopped")

    # A signal ends the step after which it came; what kills loses the steps since the last save.
    assert stopped_at == STOPPED_AFTER + 1 if signalled else 0 < stopped_at < STOPPED_AFTER
    assert found == expected
    torch.testing.assert_close(
        final_weights(tmp_path / "stopped"), final_weights(tmp_path / "whole"), rtol=0, atol=0
    )
    assert logged(tmp_path / "stopped", "eval_loss") == logged(tmp_path / "whole", "eval_loss")


def test_a_run_that_was_stopped_while_matching_ends_as_if_it_had_not_been(
    spec: ModelSpec, spoken: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule = replace(SHORT, epochs=1, copies=1, match_epochs=4)

    def start(out: str) -> dict[str, float]:
        return FineTuning(spec, out=tmp_path / out, schedule=schedule).run(spoken, spoken)

    expected = start("whole")
    with monkeypatch.context() as patch:
        patch.setattr(running, "reporting_callbacks", lambda _: [Interrupting(kill, step=3)])
        with pytest.raises(Killed):
            start("stopped")
    assert not list((tmp_path / "stopped").glob("checkpoint-*"))
    assert start("stopped") == expected
    torch.testing.assert_close(
        final_weights(tmp_path / "stopped"), final_weights(tmp_path / "whole"), rtol=0, atol=0
    )


def test_a_run_that_no_longer_improves_ends_and_stays_ended(
    spec: ModelSpec, spoken: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # So slow that the error rate, which has few values, must stay where it is.
    schedule = replace(SHORT, learning_rate=1e-9, patience=3)

    def start(out: str) -> dict[str, float]:
        return FineTuning(spec, out=tmp_path / out, schedule=schedule).run(spoken, spoken)

    expected = start("whole")
    assert len(logged(tmp_path / "whole", "eval_cer")) == 1 + 3
    with monkeypatch.context() as patch:
        patch.setattr(running, "reporting_callbacks", lambda _: [Interrupting(kill, step=3)])
        with pytest.raises(Killed):
            start("stopped")
    assert start("stopped") == expected
    assert last_checkpoint(tmp_path / "stopped").name == last_checkpoint(tmp_path / "whole").name
    monkeypatch.setattr(running.SelectiveTrainer, "training_step", None)
    assert start("stopped") == expected


def test_accumulated_batches_teach_what_the_joined_batch_teaches(
    spec: ModelSpec, spoken: Corpus, tmp_path: Path
) -> None:
    schedule = Schedule(epochs=1, batch_s=30, learning_rate=1e-2, clip_norm=0.1, masking=None)
    uneven = replace(schedule, batch_s=5.6, accumulate=12)
    for name, each in (("joined", schedule), ("accumulated", uneven)):
        FineTuning(spec, out=tmp_path / name, schedule=each).run(spoken, spoken)
        assert last_checkpoint(tmp_path / name).name == "checkpoint-1"
    joined, accumulated = (
        json.loads((tmp_path / name / "checkpoint-1" / "trainer_state.json").read_text())
        for name in ("joined", "accumulated")
    )
    for reading in ("loss", "grad_norm"):
        expected = joined["log_history"][0][reading]
        assert accumulated["log_history"][0][reading] == pytest.approx(expected, rel=1e-5)
    assert joined["log_history"][0]["grad_norm"] > 0.1  # and so it was clipped
    moments = [
        torch.load(tmp_path / name / "checkpoint-1" / "optimizer.pt", weights_only=True)["state"]
        for name in ("joined", "accumulated")
    ]
    for expected, found in zip(moments[0].values(), moments[1].values(), strict=True):
        torch.testing.assert_close(found["exp_avg"], expected["exp_avg"], rtol=1e-4, atol=1e-7)


def test_clips_longer_than_a_batch_are_not_learnt_from(
    spec: ModelSpec, spoken: Corpus, tmp_path: Path
) -> None:
    run = FineTuning(spec, out=tmp_path, schedule=replace(SHORT, batch_s=0.5))
    with pytest.raises(ManifestInvalid, match=r"a batch holds 0\.5 s"):
        run.run(spoken, spoken)


@pytest.mark.parametrize("written", [[], ["model.safetensors", "optimizer.pt"]])
def test_a_run_killed_while_it_saves_goes_on_from_the_save_before(
    spec: ModelSpec, spoken: Corpus, tmp_path: Path, written: list[str]
) -> None:
    schedule = replace(SHORT, epochs=1, copies=1)
    expected = FineTuning(spec, out=tmp_path, schedule=schedule).run(spoken, spoken)
    for file in last_checkpoint(tmp_path).iterdir():
        if file.name not in written:
            file.unlink()
    assert FineTuning(spec, out=tmp_path, schedule=schedule).run(spoken, spoken) == expected


def test_clips_longer_than_one_pass_do_not_stop_a_run(
    spec: ModelSpec, spoken: Corpus, tmp_path: Path, noise_and_tones
) -> None:
    audio = tmp_path / "long.wav"
    soundfile.write(audio, noise_and_tones(31 * 16000), 16000)
    corpus = Corpus((*spoken.clips, Clip(audio, "a b", None)), ())
    schedule = replace(SHORT, epochs=1, copies=1)
    FineTuning(spec, out=tmp_path / "out", schedule=schedule).run(corpus, spoken)


def test_a_finished_run_is_not_repeated(
    spec: ModelSpec, spoken: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule = replace(SHORT, epochs=1, copies=1)
    first = FineTuning(spec, out=tmp_path, schedule=schedule).run(spoken, spoken)
    weights = final_weights(tmp_path)
    monkeypatch.setattr(running.SelectiveTrainer, "training_step", None)
    again = FineTuning(spec, out=tmp_path, schedule=schedule).run(spoken, spoken)
    assert again == first
    torch.testing.assert_close(final_weights(tmp_path), weights, rtol=0, atol=0)


def test_matching_brings_mixers_closer_to_attention(
    spec: ModelSpec, spoken: Corpus, tmp_path: Path
) -> None:
    schedule = replace(SHORT, epochs=1, copies=1, match_epochs=20, match_learning_rate=1e-2)
    FineTuning(spec, out=tmp_path, schedule=schedule, cache_dir=tmp_path / "cache").run(
        spoken, spoken
    )
    losses = logged(tmp_path / "matching", "eval_loss")
    assert losses[-1] < losses[0] / 2


def test_frames_of_a_cache_cannot_be_distilled(spec: ModelSpec, tmp_path: Path) -> None:
    schedule = replace(SHORT, distil_epochs=1)
    with pytest.raises(TrainingRefused, match="begins with waveforms"):
        FineTuning(spec, out=tmp_path, schedule=schedule, cache_dir=tmp_path / "cache")


def test_a_student_of_its_base_comes_nearer_and_goes_on_where_it_was_stopped(
    streaming_spec: ModelSpec, spoken: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule = replace(SHORT, epochs=1, copies=1, match_epochs=1, distil_epochs=4)

    def start(out: str) -> dict[str, float]:
        run = FineTuning(streaming_spec, out=tmp_path / out, schedule=schedule)
        return run.run(spoken, spoken)

    expected = start("whole")
    losses = logged(tmp_path / "whole" / "distilling", "eval_loss")
    assert losses[-1] < losses[0]
    with monkeypatch.context() as patch:
        patch.setattr(running, "reporting_callbacks", lambda _: [Interrupting(kill, step=5)])
        with pytest.raises(Killed):
            start("stopped")
    assert list((tmp_path / "stopped" / "distilling").glob("checkpoint-*"))
    assert start("stopped") == expected


def test_a_seed_gives_one_start(spec: ModelSpec, tmp_path: Path) -> None:
    def head(seed: int) -> Tensor:
        schedule = Schedule(seed=seed)
        return FineTuning(spec, out=tmp_path, schedule=schedule).model.head.weight

    assert torch.equal(head(1), head(1))
    assert not torch.equal(head(1), head(2))
    assert not torch.equal(build_from_spec(spec).head.weight, head(1))


def test_a_run_can_begin_with_another_checkpoint(
    spec: ModelSpec, spoken: Corpus, tmp_path: Path
) -> None:
    schedule = replace(SHORT, epochs=1, copies=1)
    FineTuning(spec, out=tmp_path / "first", schedule=schedule).run(spoken, spoken)
    second = FineTuning(spec, out=tmp_path / "second", schedule=schedule, start=tmp_path / "first")
    learnt = load_file(tmp_path / "first" / WEIGHTS_FILE)
    torch.testing.assert_close(trained_tensors(second.model), learnt)
    second.run(spoken, spoken)
    with pytest.raises(CheckpointInvalid, match="holds a run with start"):
        FineTuning(spec, out=tmp_path / "second", schedule=schedule).run(spoken, spoken)


def test_more_can_learn_than_in_the_run_that_it_begins_with(
    spec: ModelSpec, spoken: Corpus, tmp_path: Path
) -> None:
    schedule = replace(SHORT, epochs=1, copies=1)
    FineTuning(spec, out=tmp_path / "first", schedule=schedule).run(spoken, spoken)
    learnt = load_file(tmp_path / "first" / WEIGHTS_FILE)
    wider = spec.model_copy(update={"also_train": ("all",)})
    second = FineTuning(wider, out=tmp_path / "second", schedule=schedule, start=tmp_path / "first")
    beginning = trained_tensors(second.model)
    assert beginning.keys() > learnt.keys()
    for name, tensor in learnt.items():
        assert torch.equal(beginning[name], tensor)
    second.run(spoken, spoken)

    with pytest.raises(CheckpointInvalid, match="does not fit the model"):  # less would be saved
        FineTuning(spec, out=tmp_path / "third", schedule=schedule, start=tmp_path / "second")


def test_augmented_batches_teach_something_else(
    spec: ModelSpec, spoken: Corpus, tmp_path: Path
) -> None:
    learnt = []
    for augmented in (False, True):
        schedule = replace(SHORT, epochs=1, copies=1, augment_batches=augmented)
        out = tmp_path / str(augmented)
        FineTuning(spec, out=out, schedule=schedule).run(spoken, spoken)
        learnt.append(load_file(out / WEIGHTS_FILE)["head.weight"])
    assert not torch.equal(*learnt)


def test_batches_of_a_cache_are_not_augmented(spec: ModelSpec, tmp_path: Path) -> None:
    schedule = replace(SHORT, augment_batches=True)
    with pytest.raises(TrainingRefused, match="no batch of it can be augmented"):
        FineTuning(spec, out=tmp_path / "run", schedule=schedule, cache_dir=tmp_path / "cache")
