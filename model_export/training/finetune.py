"""Selective fine-tuning: Hugging Face's Trainer over the part that learns."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch

from model_export.checkpoint import (
    WEIGHTS_FILE,
    ModelSpec,
    build_from_spec,
    build_teacher,
    load_start,
    save_checkpoint,
)
from model_export.data import Clip, Corpus
from model_export.errors import TrainingRefused
from model_export.mixing.freezing import first_trained_layer
from model_export.scoring import decode_labels, error_rates
from model_export.training.chunk_draws import ChunkDraws
from model_export.training.distilling import DistillingObjective
from model_export.training.example_source import ExampleSource
from model_export.training.matching import MatchingObjective
from model_export.training.objective import CtcObjective
from model_export.training.ranks import this_process
from model_export.training.resuming import claim_run, sole_user
from model_export.training.running import Stage
from model_export.training.schedule import (
    Schedule,
    distilling_arguments,
    matching_arguments,
    training_arguments,
)
from model_export.training.trainer import Outcome, nothing_more
from model_export.training.training_data import Examples, keep_fitting
from model_export.transcripts.normalisation import encode
from service.bundle import Vocabulary, sha256_of

RATES = ("eval_loss", "eval_wer", "eval_cer")


class FineTuning:
    """One fine-tuning run.

    Under torchrun every process makes one with the same arguments; the first of them writes.

    Args:
        spec: what to train.
        out: receives the checkpoint, and the trainer's own in subfolders.
        schedule: how long and how fast.
        cache_dir: keep hidden frames of the frozen part here; None computes them each time.
        start: checkpoint whose trained tensors to begin with; what learns now and did not then
            begins as it is in the base.

    Raises:
        StreamingRefused: the model shall stream, and cannot.
        TrainingRefused: a cache was asked for, and nothing is frozen that it could hold, or its
            frames shall be augmented.
    """

    def __init__(
        self,
        spec: ModelSpec,
        *,
        out: Path,
        schedule: Schedule,
        cache_dir: Path | None = None,
        start: Path | None = None,
    ) -> None:
        self.spec = spec
        self._out = out
        self._schedule = schedule
        self._cache_dir = cache_dir
        self._start = start
        if schedule.augment_batches and cache_dir is not None:
            raise TrainingRefused("a cache keeps hidden frames; no batch of it can be augmented")
        if schedule.distil_epochs and cache_dir is not None:
            raise TrainingRefused("a cache keeps hidden frames; distilling begins with waveforms")
        self._process = this_process()
        torch.manual_seed(schedule.seed)
        self.model = build_from_spec(spec)
        if start is not None:
            load_start(start, self.model)
        self._first_layer = first_trained_layer(
            self.model, spec.layers, spec.added_layers, spec.also_train
        )
        self._chunks = None if spec.chunk_frames is None else ChunkDraws(spec.chunk_frames)
        if cache_dir is not None:
            _refuse_cache(spec)

    def run(self, train: Corpus, dev: Corpus) -> dict[str, float]:
        """Fine-tune, or go on where an earlier run with the same `out` was stopped.

        Args:
            train: clips to learn from; those longer than a batch are skipped.
            dev: clips that choose the best checkpoint.

        Returns:
            Of the best checkpoint on `dev`: eval_loss, and eval_wer and eval_cer in percent.

        Raises:
            CheckpointInvalid: `out` holds a run with other options, or another process uses it.
            TrainingRefused: the disk has no room for the cache, or clips are fewer than processes.
            TrainingStopped: a signal ended it; a run with the same `out` goes on.
        """
        train, dev = self.fitting_batches(train), self.fitting(dev)
        if len(train.clips) < self._process.num_processes:
            raise TrainingRefused(
                f"{len(train.clips)} training clips are fewer than the "
                f"{self._process.num_processes} processes"
            )
        with sole_user(self._out) if self._process.is_main_process else nullcontext():
            return self._run(train, dev)

    def _run(self, train: Corpus, dev: Corpus) -> dict[str, float]:
        with self._process.main_process_first():
            claim_run(self._out, self._options(train, dev))
        self.model.to(self._process.device)
        source = ExampleSource(
            self.model,
            self.spec.base_digest,
            self._first_layer,
            self._schedule.precision,
            self._cache_dir,
        )
        stage = Stage(
            self._schedule,
            source.unit_hz,
            self.model.front_end.longest_pass_s,
            train=self._examples(source, train.clips, self._schedule.copies),
            dev=self._examples(source, dev.clips, 1),
        )
        if self._schedule.match_epochs:
            self._match(stage)
        if self._schedule.distil_epochs:
            self._distil(stage)
        rates = self._learn(stage)
        if self._process.is_main_process:
            save_checkpoint(self._out, self.spec, self.model)
        return {name: rates[name] for name in RATES}

    def fitting(self, corpus: Corpus) -> Corpus:
        """Skip clips that the encoder cannot take, or whose text CTC cannot fit into them."""
        return keep_fitting(corpus, self.model.front_end, self.spec.vocabulary)

    def fitting_batches(self, corpus: Corpus) -> Corpus:
        """Skip also clips longer than a batch, which would take more memory than it may."""
        return keep_fitting(
            corpus, self.model.front_end, self.spec.vocabulary, self._schedule.batch_s
        )

    def _options(self, train: Corpus, dev: Corpus) -> dict[str, Any]:
        return {
            **self.spec.model_dump(mode="json"),
            **asdict(self._schedule),
            "start": None if self._start is None else sha256_of(self._start / WEIGHTS_FILE),
            "cached": self._cache_dir is not None,
            "chunks": None if self._chunks is None else self._chunks.choices,
            "train_clips": len(train.clips),
            "dev_clips": len(dev.clips),
            "processes": self._process.num_processes,
        }

    def _match(self, stage: Stage) -> None:
        objective = MatchingObjective(
            self.model,
            build_teacher(self.spec),
            layers=self.spec.layers,
            cached=self._cache_dir is not None,
            chunks=self._chunks,
        )
        arguments = matching_arguments(self._schedule, self._out / "matching")
        stage.run(objective, arguments, nothing_more)

    def _distil(self, stage: Stage) -> None:
        objective = DistillingObjective(
            self.model,
            build_teacher(self.spec),
            layer_count=len(self.model.layers) - self.spec.added_layers,
            chunks=self._chunks,
        )
        arguments = distilling_arguments(self._schedule, self._out / "distilling")
        stage.run(objective, arguments, nothing_more)

    def _learn(self, stage: Stage) -> dict[str, float]:
        objective = CtcObjective(
            self.model,
            first_layer=self._first_layer,
            cached=self._cache_dir is not None,
            blank_id=self.spec.vocabulary.blank_id,
            spec=self._schedule.masking,
            chunks=self._chunks,
        )
        arguments = training_arguments(self._schedule, self._out)
        measure = partial(_rates, vocabulary=self.spec.vocabulary)
        return stage.run(objective, arguments, measure).evaluate()

    def _examples(self, source: ExampleSource, clips: Sequence[Clip], copies: int) -> Examples:
        labels = [encode(clip.text, self.spec.vocabulary) for clip in clips]
        return source.examples(clips, labels, copies)


def _refuse_cache(spec: ModelSpec) -> None:
    if spec.chunk_frames is not None or {"layers", "stem", "all"} & set(spec.also_train):
        raise TrainingRefused(
            "a feature cache holds what does not learn, and all layers learn here; "
            "train without one"
        )


def _rates(outcomes: Sequence[Outcome], vocabulary: Vocabulary) -> dict[str, float]:
    references = [_text(outcome.labels, vocabulary) for outcome in outcomes]
    hypotheses = [decode_labels(outcome.predictions, vocabulary) for outcome in outcomes]
    rates = error_rates(references, hypotheses)
    return {"wer": rates.wer_percent, "cer": rates.cer_percent}


def _text(labels: Sequence[int], vocabulary: Vocabulary) -> str:
    tokens = (vocabulary.tokens[label] for label in labels)
    return "".join(tokens).replace(vocabulary.word_delimiter, " ")
