"""Hugging Face's Trainer with batches of a bounded padded size, on one process or on many."""

import itertools
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from accelerate.data_loader import prepare_data_loader
from accelerate.utils import gather_object
from torch import Tensor, nn
from torch.utils.data import DataLoader
from transformers import Trainer
from transformers.trainer_callback import PrinterCallback, ProgressCallback

from model_export.training.bucketing import BucketBatches
from model_export.training.ctc_loss import IGNORED_LABEL
from model_export.training.memory import peak_memory
from model_export.training.training_data import collate


@dataclass(frozen=True)
class Outcome:
    """What became of an utterance in an evaluation.

    Attributes:
        loss: of the objective.
        labels: of the transcript.
        predictions: best label of each frame; empty if the objective predicts nothing.
    """

    loss: float
    labels: list[int]
    predictions: list[int]


Measure = Callable[[Sequence[Outcome]], dict[str, float]]
Augmenter = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


def nothing_more(_: Sequence[Outcome]) -> dict[str, float]:
    """The measure of an objective that is measured by its loss alone."""
    return {}


class SelectiveTrainer(Trainer):
    """A Trainer whose batches are bounded by their padded size, and that logs speed and memory.

    The loss of a step is the mean over all its utterances: those of all its batches, on all
    processes. So neither accumulation nor the number of processes changes what a batch means.

    Args:
        batch_s: padded seconds of audio in a batch.
        unit_hz: input samples or frames in a second of audio.
        measure: figures of an evaluation, beside its loss.
        augmenter: changes waveforms of a training batch, on its device; None for none.
        kwargs: of the Trainer. The model gives `losses` `[batch]` and, if it predicts,
            `predictions` `[batch, frames]`.
    """

    loss_is_scaled_for_ga = True

    def __init__(
        self,
        *,
        batch_s: float,
        unit_hz: float,
        measure: Measure,
        augmenter: Augmenter | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(data_collator=collate, **kwargs)
        self.remove_callback(PrinterCallback)
        self.remove_callback(ProgressCallback)
        # The Trainer seeds all processes alike; their clips should not share their masks.
        torch.manual_seed(self.args.seed + self.args.process_index)
        self._objective: nn.Module = kwargs["model"]  # not wrapped for several processes
        self._batch_budget = int(batch_s * unit_hz)
        self._unit_hz = unit_hz
        self._measure = measure
        self._augmenter = augmenter
        self._learnt_units = 0
        self._logged_at_s = time.monotonic()

    def get_train_dataloader(self) -> DataLoader[Any]:
        """This process's batches of like size, in an order that depends on seed and epoch."""
        return self._loader(self.train_dataset, self.args.seed)

    def get_eval_dataloader(self, eval_dataset: Any = None) -> DataLoader[Any]:  # noqa: ANN401
        """This process's batches of like size, shortest first."""
        return self._loader(eval_dataset or self.eval_dataset, None)

    def get_batch_samples(
        self, epoch_iterator: Iterator[Any], num_batches: int, device: torch.device
    ) -> tuple[list[Any], Tensor]:
        """The batches of an optimiser step, and its utterances on all processes."""
        batches = list(itertools.islice(epoch_iterator, num_batches))
        utterances = torch.tensor(sum(len(batch["labels"]) for batch in batches), device=device)
        return batches, self.accelerator.gather(utterances).sum()

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:  # noqa: ANN401  the Trainer wants a loss, or a loss and outputs
        """What a batch adds to the mean over the utterances of a step."""
        outputs = model(**inputs)
        losses = outputs["losses"]
        count = len(losses) if num_items_in_batch is None else num_items_in_batch
        # Gradients are averaged over processes; times their number, they are summed.
        loss = losses.sum() / count * self.args.world_size
        return (loss, outputs) if return_outputs else loss

    def training_step(self, model: nn.Module, inputs: dict[str, Any], *rest: Any) -> Tensor:
        """Learn from a batch, augmented if asked, and count its audio."""
        self._learnt_units += int(inputs["input_lengths"].sum())
        if self._augmenter is not None:
            waveforms, lengths = self._augmenter(inputs["inputs"], inputs["input_lengths"])
            inputs = inputs | {"inputs": waveforms, "input_lengths": lengths}
        return super().training_step(model, inputs, *rest)

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """Measure on the development clips, which the processes share out.

        Returns:
            eval_loss, the mean over utterances, and what `measure` gives, prefixed with `eval_`.
        """
        self._objective.eval()
        mine = [one for batch in self.get_eval_dataloader() for one in self._outcomes(batch)]
        outcomes: list[Outcome] = gather_object(mine)
        loss = math.fsum(outcome.loss for outcome in outcomes) / len(outcomes)
        figures = {"loss": loss} | self._measure(outcomes)
        metrics = {f"eval_{name}": value for name, value in figures.items()}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(
            self.args, self.state, self.control, metrics
        )
        return metrics

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Add peak memory, and to a training log how many seconds of audio a second learnt from."""
        logs |= peak_memory()
        if "loss" in logs:
            now_s = time.monotonic()
            learnt_s = self._learnt_units / self._unit_hz * self.args.world_size
            logs["speed"] = learnt_s / (now_s - self._logged_at_s)
            self._learnt_units, self._logged_at_s = 0, now_s
        super().log(logs, start_time)

    def _outcomes(self, batch: dict[str, Tensor]) -> Iterator[Outcome]:
        with torch.no_grad():
            outputs = self._objective(**batch)
        losses = outputs["losses"].tolist()
        predictions = outputs.get("predictions", torch.empty(len(losses), 0)).tolist()
        for loss, labels, predicted in zip(
            losses, batch["labels"].tolist(), predictions, strict=True
        ):
            yield Outcome(loss, _without_padding(labels), _without_padding(predicted))

    def _loader(self, examples: Any, seed: int | None) -> DataLoader[Any]:  # noqa: ANN401
        batches = BucketBatches(
            examples.sizes,
            self._batch_budget,
            seed,
            rank=self.args.process_index,
            ranks=self.args.world_size,
        )
        loader: DataLoader[Any] = DataLoader(
            examples,
            batch_sampler=batches,
            collate_fn=self.data_collator,
            num_workers=self.args.dataloader_num_workers,
        )
        # The batches are shared out already, so accelerate must not do it again.
        shared: DataLoader[Any] = prepare_data_loader(
            loader, self.args.device, num_processes=1, process_index=0, put_on_device=True
        )
        return shared


def _without_padding(labels: list[int]) -> list[int]:
    return [label for label in labels if label != IGNORED_LABEL]
