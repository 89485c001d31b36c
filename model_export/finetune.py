"""Selective fine-tuning: Hugging Face's Trainer over the part that learns."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from transformers import EvalPrediction, Trainer, TrainingArguments
from transformers.trainer_callback import PrinterCallback, ProgressCallback

from model_export.checkpoint import (
    WEIGHTS_FILE,
    ModelSpec,
    build_from_spec,
    find_base,
    load_trained,
    save_checkpoint,
)
from model_export.data import Clip, Corpus
from model_export.families import build_model
from model_export.feature_cache import CacheRequest, cached_examples
from model_export.freezing import first_trained_layer
from model_export.matching import MatchingObjective
from model_export.memory import MemoryTrimmer
from model_export.objective import CtcObjective, SpecAugment
from model_export.progress import ProgressBar
from model_export.resuming import claim_run, newest_checkpoint
from model_export.scoring import decode_labels, error_rates
from model_export.text import encode
from model_export.training_data import (
    IGNORED_LABEL,
    BucketBatches,
    Examples,
    WaveformExamples,
    collate,
    keep_fitting,
)
from service.audio import SAMPLE_RATE_HZ
from service.bundle import Vocabulary, sha256_of

WARMUP_SHARE = 0.1
CHECKPOINT_SHARE = 0.05  # of all steps, between two checkpoints


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to learn.

    Attributes:
        epochs: passes over the training clips.
        match_epochs: passes, before those, in which new mixers imitate the attention they replace.
        learning_rate: highest rate, after the warm-up.
        match_learning_rate: the same while matching.
        batch_s: padded seconds of audio in a batch.
        copies: entries per clip and epoch, the first clean, the others augmented.
        seed: of initialisation, order and masking.
    """

    epochs: float = 10.0
    match_epochs: float = 0.0
    learning_rate: float = 5e-4
    match_learning_rate: float = 2e-3
    batch_s: float = 120.0
    copies: int = 1
    seed: int = 0


class SelectiveTrainer(Trainer):
    """A Trainer whose batches are bounded by their padded size, and that logs its speed.

    Args:
        batch_s: padded seconds of audio in a batch.
        unit_hz: input samples or frames in a second of audio.
        kwargs: of the Trainer.
    """

    def __init__(self, *, batch_s: float, unit_hz: float, **kwargs: Any) -> None:
        super().__init__(data_collator=collate, **kwargs)
        self._batch_budget = int(batch_s * unit_hz)
        self._unit_hz = unit_hz
        self._learnt_units = 0
        self._logged_at_s = time.monotonic()

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Batches of like size in an order that depends on seed and epoch."""
        return self._loader(self.train_dataset, self.args.seed)

    def get_eval_dataloader(self, eval_dataset: Any = None) -> DataLoader[Any]:  # noqa: ANN401
        """Batches of like size, shortest first."""
        return self._loader(eval_dataset or self.eval_dataset, None)

    def training_step(self, model: nn.Module, inputs: dict[str, Any], *rest: Any) -> Tensor:
        """Learn from a batch, and count its audio."""
        self._learnt_units += int(inputs["input_lengths"].sum())
        return super().training_step(model, inputs, *rest)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Add to a training log how many seconds of audio were learnt from in a second."""
        if "loss" in logs:
            now_s = time.monotonic()
            logs["speed"] = self._learnt_units / self._unit_hz / (now_s - self._logged_at_s)
            self._learnt_units, self._logged_at_s = 0, now_s
        super().log(logs, start_time)

    def _loader(self, examples: Any, seed: int | None) -> DataLoader[Any]:  # noqa: ANN401
        batches = BucketBatches(examples.sizes, self._batch_budget, seed)
        loader: DataLoader[Any] = DataLoader(
            examples, batch_sampler=batches, collate_fn=self.data_collator
        )
        prepared: DataLoader[Any] = self.accelerator.prepare(loader)
        return prepared


class FineTuning:
    """One fine-tuning run.

    Args:
        spec: what to train.
        out: receives the checkpoint, and the trainer's own in subfolders.
        schedule: how long and how fast.
        cache_dir: keep hidden frames of the frozen part here; None computes them each time.
        start: checkpoint of the same kind whose trained tensors to begin with.
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
        torch.manual_seed(schedule.seed)
        self.model = build_from_spec(spec)
        if start is not None:
            load_trained(start, self.model)
        self._first_layer = first_trained_layer(self.model, spec.layers)

    def run(self, train: Corpus, dev: Corpus) -> dict[str, float]:
        """Fine-tune, or go on where an earlier run with the same `out` was stopped.

        Args:
            train: clips to learn from.
            dev: clips that choose the best epoch.

        Returns:
            Of the best epoch on `dev`: eval_loss, and eval_wer and eval_cer in percent.

        Raises:
            CheckpointInvalid: `out` holds a run with other options.
        """
        train, dev = self.fitting(train), self.fitting(dev)
        claim_run(self._out, self._options(train, dev))
        train_examples = self._examples(train.clips, self._schedule.copies)
        dev_examples = self._examples(dev.clips, 1)
        if self._schedule.match_epochs:
            self._match(train_examples, dev_examples)
        rates = self._learn(train_examples, dev_examples)
        save_checkpoint(self._out, self.spec, self.model)
        return {name: rates[name] for name in ("eval_loss", "eval_wer", "eval_cer")}

    def fitting(self, corpus: Corpus) -> Corpus:
        """Skip clips that the encoder cannot take, or whose text CTC cannot fit into them."""
        return keep_fitting(corpus, self.model.front_end, self.spec.vocabulary)

    def _options(self, train: Corpus, dev: Corpus) -> dict[str, Any]:
        return {
            **self.spec.model_dump(mode="json"),
            **asdict(self._schedule),
            "start": None if self._start is None else sha256_of(self._start / WEIGHTS_FILE),
            "cached": self._cache_dir is not None,
            "train_clips": len(train.clips),
            "dev_clips": len(dev.clips),
        }

    def _match(self, train: Examples, dev: Examples) -> None:
        teacher = build_model(find_base(self.spec), len(self.spec.vocabulary.tokens))
        objective = MatchingObjective(
            self.model, teacher, layers=self.spec.layers, cached=self._cache_dir is not None
        )
        arguments = self._arguments(self._out / "matching")
        arguments.num_train_epochs = self._schedule.match_epochs
        arguments.learning_rate = self._schedule.match_learning_rate
        arguments.metric_for_best_model = "eval_loss"
        self._train(objective, arguments, train_dataset=train, eval_dataset=dev)

    def _learn(self, train: Examples, dev: Examples) -> dict[str, float]:
        objective = CtcObjective(
            self.model,
            first_layer=self._first_layer,
            cached=self._cache_dir is not None,
            blank_id=self.spec.vocabulary.blank_id,
            spec=SpecAugment(),
        )
        trainer = self._train(
            objective,
            self._arguments(self._out),
            train_dataset=train,
            eval_dataset=dev,
            compute_metrics=lambda prediction: _metrics(prediction, self.spec.vocabulary),
        )
        return trainer.evaluate()

    def _train(
        self, objective: nn.Module, arguments: TrainingArguments, **datasets: Any
    ) -> SelectiveTrainer:
        unit_hz = SAMPLE_RATE_HZ / (
            self.model.front_end.samples_per_frame if self._cache_dir else 1
        )
        trainer = SelectiveTrainer(
            batch_s=self._schedule.batch_s,
            unit_hz=unit_hz,
            model=objective,
            args=arguments,
            callbacks=[ProgressBar(), MemoryTrimmer()],
            **datasets,
        )
        trainer.remove_callback(PrinterCallback)
        trainer.remove_callback(ProgressCallback)
        trainer.train(resume_from_checkpoint=newest_checkpoint(Path(arguments.output_dir or "")))
        return trainer

    def _examples(self, clips: Sequence[Clip], copies: int) -> Examples:
        labels = [encode(clip.text, self.spec.vocabulary) for clip in clips]
        if self._cache_dir is None:
            return WaveformExamples(clips, labels, copies, self.model.front_end.longest_pass_s)
        request = CacheRequest(clips, labels, copies, self.spec.base_digest, self._first_layer)
        return cached_examples(self._cache_dir, request, self.model)

    def _arguments(self, folder: Path) -> TrainingArguments:
        return TrainingArguments(
            output_dir=str(folder),
            num_train_epochs=self._schedule.epochs,
            learning_rate=self._schedule.learning_rate,
            warmup_steps=WARMUP_SHARE,
            lr_scheduler_type="cosine",
            weight_decay=0.01,
            seed=self._schedule.seed,
            logging_steps=20,
            eval_strategy="steps",
            eval_steps=CHECKPOINT_SHARE,
            save_strategy="steps",
            save_steps=CHECKPOINT_SHARE,
            save_total_limit=2,
            load_best_model_at_end=True,
            metric_for_best_model="eval_cer",
            greater_is_better=False,
            label_names=["labels"],
            remove_unused_columns=False,
            report_to="none",
        )


def _metrics(prediction: EvalPrediction, vocabulary: Vocabulary) -> dict[str, float]:
    hypotheses = [
        decode_labels(row[row != IGNORED_LABEL], vocabulary)
        for row in _rows(prediction.predictions)
    ]
    references = [_text(row, vocabulary) for row in _rows(prediction.label_ids)]
    rates = error_rates(references, hypotheses)
    return {"wer": rates.wer_percent, "cer": rates.cer_percent}


def _rows(array: npt.ArrayLike) -> Sequence[np.ndarray[Any, Any]]:
    return list(np.asarray(array))


def _text(labels: np.ndarray[Any, Any], vocabulary: Vocabulary) -> str:
    tokens = (vocabulary.tokens[label] for label in labels[labels != IGNORED_LABEL])
    return "".join(tokens).replace(vocabulary.word_delimiter, " ")
