"""One stage of training: an objective through Hugging Face's Trainer, resumable."""

from dataclasses import dataclass
from pathlib import Path

from torch import nn
from transformers import TrainerCallback, TrainingArguments

from model_export.errors import TrainingStopped
from model_export.training.batch_augment import BatchAugmentation, BatchAugmenter
from model_export.training.memory import MemoryTrimmer
from model_export.training.progress import reporting_callbacks
from model_export.training.ranks import this_process
from model_export.training.resuming import CheckpointSeal, newest_checkpoint
from model_export.training.schedule import Schedule
from model_export.training.stopping import EarlyStopping, SignalStop, had_stalled
from model_export.training.trainer import Measure, SelectiveTrainer
from model_export.training.training_data import Examples


@dataclass(frozen=True)
class Stage:
    """What the stages of a run have in common.

    Attributes:
        schedule: of the run.
        unit_hz: input samples or frames in a second of audio.
        longest_pass_s: what the encoder takes; None means no limit.
        train: to learn from.
        dev: to choose the best checkpoint by.
    """

    schedule: Schedule
    unit_hz: float
    longest_pass_s: float | None
    train: Examples
    dev: Examples

    def run(
        self, objective: nn.Module, arguments: TrainingArguments, measure: Measure
    ) -> SelectiveTrainer:
        """Train an objective, or go on where this was stopped.

        Raises:
            TrainingStopped: a signal ended it; the same run goes on.
        """
        schedule = self.schedule
        checkpoint = newest_checkpoint(Path(arguments.output_dir or ""))
        metric = str(arguments.metric_for_best_model)
        if had_stalled(checkpoint, metric, schedule.patience):
            arguments.num_train_epochs, arguments.max_steps = 0, -1  # all is learnt already
        stop = SignalStop()
        trainer = SelectiveTrainer(
            batch_s=schedule.batch_s,
            unit_hz=self.unit_hz,
            measure=measure,
            augmenter=self._augmenter(),
            model=objective,
            args=arguments,
            callbacks=_callbacks(arguments, schedule, stop),
            train_dataset=self.train,
            eval_dataset=self.dev,
        )
        with stop.listening():
            trainer.train(resume_from_checkpoint=checkpoint)
        if stop.stopped:
            state = trainer.state
            raise TrainingStopped(
                f"stopped at step {state.global_step} of {state.max_steps}, which is saved; "
                "the same command goes on from there"
            )
        return trainer

    def _augmenter(self) -> BatchAugmenter | None:
        if not self.schedule.augment_batches:
            return None
        return BatchAugmenter(BatchAugmentation(), self.longest_pass_s)


def _callbacks(
    arguments: TrainingArguments, schedule: Schedule, stop: SignalStop
) -> list[TrainerCallback]:
    callbacks = [stop, CheckpointSeal(), MemoryTrimmer()]
    if schedule.patience is not None:
        metric = str(arguments.metric_for_best_model)
        callbacks.append(EarlyStopping(metric, schedule.patience))
    if this_process().is_main_process:
        callbacks += reporting_callbacks(Path(arguments.output_dir or ""))
    return callbacks
