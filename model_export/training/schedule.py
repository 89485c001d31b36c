"""How long, how fast and in which arithmetic to learn."""

import shutil
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from transformers import TrainingArguments

from model_export.training.masking import SpecAugment
from model_export.training.precision import Precision
from model_export.training.ranks import has_accelerator
from service.audio import SAMPLE_RATE_HZ
from service.backends.parallelism import usable_cores

WARMUP_SHARE = 0.1
LOGGING_SHARE = 0.01
WEIGHT_DECAY = 0.01
MOST_LOADING = 12
BATCHES_AHEAD = 4  # of each process, in shared memory
SHARED_MEMORY = Path("/dev/shm")
ONCE = 1 - 1e-9  # of a run's steps; the Trainer takes 1 for a single step


@dataclass(frozen=True)
class Schedule:
    """How long, how fast and in which arithmetic to learn.

    Attributes:
        epochs: passes over the training clips.
        max_steps: optimiser steps instead of epochs.
        match_epochs: passes, before those, in which new mixers imitate the attention they replace.
        distil_epochs: passes, between the two, in which all that learns imitates the base.
        learning_rate: highest rate, after the warm-up.
        match_learning_rate: the same while matching.
        distil_learning_rate: the same while distilling.
        batch_s: padded seconds of audio in a batch, of one process.
        accumulate: batches of each process that an optimiser step learns from.
        clip_norm: longest gradient of a step; longer ones are scaled down to it.
        evaluations: of a run, each with its checkpoint.
        patience: evaluations without improvement that end training; None trains to the end.
        copies: entries per clip and epoch, the first clean, the others augmented.
        augment_batches: whether every batch is augmented on the device that learns from it.
        masking: of hidden frames; None for none.
        precision: of the arithmetic.
        seed: of initialisation, order and masking.
    """

    epochs: float = 10.0
    max_steps: int | None = None
    match_epochs: float = 0.0
    distil_epochs: float = 0.0
    learning_rate: float = 5e-4
    match_learning_rate: float = 2e-3
    distil_learning_rate: float = 1e-3
    batch_s: float = 120.0
    accumulate: int = 1
    clip_norm: float = 1.0
    evaluations: int = 20
    patience: int | None = None
    copies: int = 1
    augment_batches: bool = False
    masking: SpecAugment | None = field(default_factory=SpecAugment)
    precision: Precision = "fp32"
    seed: int = 0


def loading_processes(batch_s: float) -> int:
    """Processes that read and augment clips while a GPU learns; a CPU has no cores to spare.

    They hand batches over in shared memory, of which containers may have little.
    """
    if not has_accelerator():
        return 0
    batch_bytes = int(batch_s * SAMPLE_RATE_HZ) * np.dtype(np.float32).itemsize
    room = MOST_LOADING
    if SHARED_MEMORY.is_dir():
        room = shutil.disk_usage(SHARED_MEMORY).free // (BATCHES_AHEAD * batch_bytes)
    return max(0, min(MOST_LOADING, usable_cores() - 1, room))


def matching_arguments(schedule: Schedule, folder: Path) -> TrainingArguments:
    """What the Trainer needs to know while mixers imitate attention."""
    return _imitating(schedule, folder, schedule.match_epochs, schedule.match_learning_rate)


def distilling_arguments(schedule: Schedule, folder: Path) -> TrainingArguments:
    """What the Trainer needs to know while a student imitates its base."""
    return _imitating(schedule, folder, schedule.distil_epochs, schedule.distil_learning_rate)


def decoder_arguments(schedule: Schedule, folder: Path) -> TrainingArguments:
    """What the Trainer needs to know while an attention decoder learns."""
    arguments = training_arguments(schedule, folder)
    arguments.metric_for_best_model = "eval_loss"
    return arguments


def training_arguments(schedule: Schedule, folder: Path) -> TrainingArguments:
    """What the Trainer needs to know.

    Args:
        schedule: of the run.
        folder: receives the Trainer's checkpoints.
    """
    evaluation_share = min(1 / schedule.evaluations, ONCE)
    return TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=schedule.epochs,
        max_steps=schedule.max_steps or -1,
        learning_rate=schedule.learning_rate,
        warmup_steps=WARMUP_SHARE,
        lr_scheduler_type="cosine",
        weight_decay=WEIGHT_DECAY,
        optim="adamw_torch_fused",  # one pass over each tensor instead of ten
        gradient_accumulation_steps=schedule.accumulate,
        max_grad_norm=schedule.clip_norm,
        bf16=schedule.precision == "bf16",
        fp16=schedule.precision == "fp16",
        use_cpu=not has_accelerator(),
        dataloader_num_workers=loading_processes(schedule.batch_s),
        # Every parameter that learns is used in every step, and no buffer changes.
        ddp_find_unused_parameters=False,
        ddp_broadcast_buffers=False,
        seed=schedule.seed,
        logging_steps=LOGGING_SHARE,
        eval_strategy="steps",
        eval_steps=evaluation_share,
        save_strategy="steps",
        save_steps=evaluation_share,
        save_total_limit=2,
        load_best_model_at_end=True,
        metric_for_best_model="eval_cer",
        greater_is_better=False,
        label_names=["labels"],
        remove_unused_columns=False,
        report_to="none",
    )


def _imitating(
    schedule: Schedule, folder: Path, epochs: float, learning_rate: float
) -> TrainingArguments:
    arguments = training_arguments(schedule, folder)
    arguments.num_train_epochs, arguments.max_steps = epochs, -1
    arguments.learning_rate = learning_rate
    arguments.metric_for_best_model = "eval_loss"
    return arguments
