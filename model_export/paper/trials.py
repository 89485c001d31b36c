"""Carrying out an experiment: a model is built on cached frames, trained, and tested."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

import torch

from model_export.checkpoint import build_from_spec, build_teacher
from model_export.encoders.ctc_model import CtcModel
from model_export.mixing.freezing import trained_tensors
from model_export.mixing.surgery import count_parameters
from model_export.paper.devices import PRECISION, choose_device, hardware_of
from model_export.paper.experiments import MATCHING_STEPS, Experiment
from model_export.paper.frames import SetFrames, load_frames
from model_export.paper.learning import Batch, Schedule, learn, make_batches, predict
from model_export.paper.outcomes import ClipErrors, Evaluation, Outcome, Test, keep
from model_export.paper.parts import divide
from model_export.paper.places import Places
from model_export.paper.sets import SetClip, form_of, read_set
from model_export.scoring import character_errors, decode_labels, error_rates, word_errors
from model_export.training.masking import SpecAugment
from model_export.training.matching import MatchingObjective
from model_export.training.objective import CtcObjective

FRAMES_PER_S = 50
MATCHING_RATE = 2e-3
EXAMPLES = 3


class Trial:
    """An experiment with all that it needs on the device.

    Args:
        experiment: what to do.
        places: where things lie; the hidden frames must be there.
    """

    def __init__(self, experiment: Experiment, places: Places) -> None:
        self._experiment, self._base = experiment, places.base_name
        self._kind = choose_device("auto")
        self._precision = PRECISION[self._kind]
        self._clips = _clips_of(places.sets, experiment.language)
        self._frames = _frames_of(places.frames_of(experiment), self._kind)
        self._parts = divide(self._clips, self._frames.counts, experiment)
        torch.manual_seed(experiment.seed)
        self._spec = places.spec_of(experiment, self._parts.vocabulary)
        self._model = build_from_spec(self._spec).to(self._kind)
        self._objective = CtcObjective(
            self._model,
            first_layer=places.first_layer(experiment),
            cached=True,
            blank_id=self._spec.vocabulary.blank_id,
            spec=SpecAugment(),
        )
        self._train_batches = self._batches(self._parts.train)

    def run(self) -> Outcome:
        """Train and test."""
        if self._experiment.initialisation == "matched":
            self._match()
        keeper, dev = _BestKeeper(self._model), self._batches(self._parts.dev)
        learning_s = learn(
            self._objective,
            self._train_batches,
            self._schedule(self._experiment.steps, self._experiment.learning_rate),
            watch=lambda step: keeper.see(self._evaluate(step, dev)),
        )
        keeper.restore()
        return self._outcome(tuple(keeper.evaluations), learning_s)

    def _match(self) -> None:
        objective = MatchingObjective(
            self._model, build_teacher(self._spec), layers=self._spec.layers, cached=True
        )
        learn(objective, self._train_batches, self._schedule(MATCHING_STEPS, MATCHING_RATE))

    def _schedule(self, steps: int, learning_rate: float) -> Schedule:
        return Schedule(steps, learning_rate, self._experiment.seed, self._precision)

    def _batches(self, indices: Sequence[int]) -> list[Batch]:
        budget = int(self._experiment.batch_s * FRAMES_PER_S)
        return make_batches(self._frames, indices, self._parts.labels, budget)

    def _texts(self, batches: Sequence[Batch]) -> dict[int, str]:
        found = predict(self._objective, batches, self._precision)
        return {
            index: decode_labels(labels, self._spec.vocabulary) for index, labels in found.items()
        }

    def _evaluate(self, step: int, dev: Sequence[Batch]) -> Evaluation:
        texts, indices = self._texts(dev), self._parts.dev
        references = [self._clips[index].text for index in indices]
        rates = error_rates(references, [texts[index] for index in indices])
        return Evaluation(step=step, cer_percent=rates.cer_percent, wer_percent=rates.wer_percent)

    def _test(self, part: str, indices: Sequence[int]) -> Test:
        texts = self._texts(self._batches(indices))
        pairs = [(self._clips[index].text, texts[index]) for index in indices]
        return Test(
            part=part,
            seconds=round(sum(self._clips[index].seconds for index in indices), 1),
            errors=ClipErrors(
                character_errors=tuple(character_errors(*pair) for pair in pairs),
                characters=tuple(len(reference) for reference, _ in pairs),
                word_errors=tuple(word_errors(*pair) for pair in pairs),
                words=tuple(len(reference.split()) for reference, _ in pairs),
            ),
            examples=tuple(pairs[:EXAMPLES]),
        )

    def _outcome(self, evaluations: tuple[Evaluation, ...], learning_s: float) -> Outcome:
        parts, clips, hardware = self._parts, self._clips, hardware_of(self._kind)
        return Outcome(
            experiment=self._experiment,
            base=self._base,
            learning=count_parameters(self._model, trainable_only=True),
            train_clips=len(parts.train),
            train_s=round(sum(clips[index].seconds for index in parts.train), 1),
            dev_clips=len(parts.dev),
            left_out=parts.left_out,
            evaluations=evaluations,
            tests=tuple(self._test(part, indices) for part, indices in parts.tests.items()),
            learning_s=round(learning_s, 2),
            device=hardware.name,
            precision=self._precision,
            audio=form_of(clips),
            software=hardware.software,
        )


class _BestKeeper:
    """Remembers what a model had learnt when it was best on development clips."""

    def __init__(self, model: CtcModel) -> None:
        self._model = model
        self.evaluations: list[Evaluation] = []
        self._best: dict[str, torch.Tensor] = {}

    def see(self, evaluation: Evaluation) -> None:
        earlier = [each.cer_percent for each in self.evaluations]
        self.evaluations.append(evaluation)
        if all(evaluation.cer_percent < rate for rate in earlier):
            tensors = trained_tensors(self._model)
            self._best = {name: tensor.clone() for name, tensor in tensors.items()}

    def restore(self) -> None:
        self._model.load_state_dict(self._best, strict=False)


def carry_out(experiment: Experiment, places: Places, results: Path) -> None:
    """Do an experiment and keep its outcome."""
    keep(results, Trial(experiment, places).run())


# A worker carries out experiments on the same set one after the other.
_clips_of: Callable[[Path, str], list[SetClip]] = lru_cache(maxsize=1)(read_set)
_frames_of: Callable[[Path, str], SetFrames] = lru_cache(maxsize=1)(load_frames)
