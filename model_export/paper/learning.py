"""A light training loop over cached frames that all lie on the device.

The objective, the masks, the batches and the schedule are those of `wsm-export finetune`; what is
left out is what long runs on one model need: checkpoints on disk, resuming, several processes.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_
from torch.nn.utils.rnn import pad_sequence

from model_export.paper.frames import SetFrames
from model_export.training.bucketing import BucketBatches
from model_export.training.ctc_loss import IGNORED_LABEL
from model_export.training.precision import Precision, autocast

WEIGHT_DECAY = 0.01
CLIP_NORM = 1.0
WARMUP_SHARE = 0.1
EVALUATIONS = 12


@dataclass(frozen=True)
class Batch:
    """Utterances on the device.

    Attributes:
        indices: of their clips in the set.
        inputs: `[batch, frames, width]`.
        lengths: `[batch]`, valid frames.
        labels: `[batch, labels]`, padded with `IGNORED_LABEL`.
    """

    indices: list[int]
    inputs: Tensor
    lengths: Tensor
    labels: Tensor


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to learn.

    Attributes:
        steps: of AdamW.
        learning_rate: highest rate; it rises over a tenth of the steps, then falls as a cosine.
        seed: of the order of the batches.
        precision: of the arithmetic.
    """

    steps: int
    learning_rate: float
    seed: int
    precision: Precision


def make_batches(
    frames: SetFrames, indices: Sequence[int], labels: Sequence[list[int]], batch_frames: int
) -> list[Batch]:
    """Batches of like lengths, each no longer than `batch_frames` with its padding.

    Args:
        frames: of the set.
        indices: clips to take.
        labels: label ids of every clip of the set.
        batch_frames: bound on longest x count.
    """
    sizes = [frames.counts[index] for index in indices]
    return [
        _batch(frames, [indices[place] for place in places], labels)
        for places in BucketBatches(sizes, batch_frames, None)
    ]


def learn(
    objective: nn.Module,
    batches: Sequence[Batch],
    schedule: Schedule,
    watch: Callable[[int], None] = lambda _: None,
) -> float:
    """Train.

    Args:
        objective: gives `loss`; its parameters that require gradients learn.
        batches: of training clips; an epoch is all of them in a new order.
        schedule: how long and how fast.
        watch: called with the number of steps done, a dozen times, the last time at the end; what
            it takes does not count.

    Returns:
        Seconds that the steps took.
    """
    learning = [value for value in objective.parameters() if value.requires_grad]
    fused = batches[0].inputs.is_cuda
    optimiser = torch.optim.AdamW(learning, weight_decay=WEIGHT_DECAY, fused=fused)
    order = _endless(len(batches), schedule.seed)
    watched = {math.ceil(schedule.steps * (n + 1) / EVALUATIONS) for n in range(EVALUATIONS)}
    objective.train()
    taken_s, since_s = 0.0, time.perf_counter()
    for step in range(schedule.steps):
        for group in optimiser.param_groups:
            group["lr"] = schedule.learning_rate * rate_share(step, schedule.steps)
        train_step(objective, batches[next(order)], optimiser, schedule.precision)
        if step + 1 in watched:
            taken_s += time.perf_counter() - since_s
            watch(step + 1)
            objective.train()
            since_s = time.perf_counter()
    return taken_s


def train_step(
    objective: nn.Module, batch: Batch, optimiser: torch.optim.Optimizer, precision: Precision
) -> None:
    """Learn from one batch."""
    optimiser.zero_grad()
    with autocast(precision, batch.inputs.device):
        loss = objective(batch.inputs, batch.lengths, batch.labels)["loss"]
    loss.backward()
    for group in optimiser.param_groups:
        clip_grad_norm_(group["params"], CLIP_NORM)
    optimiser.step()


def predict(
    objective: nn.Module, batches: Sequence[Batch], precision: Precision
) -> dict[int, list[int]]:
    """Best label of each valid frame, by the index of the clip."""
    objective.eval()
    found: dict[int, list[int]] = {}
    for batch in batches:
        with torch.no_grad(), autocast(precision, batch.inputs.device):
            outputs = objective(batch.inputs, batch.lengths, batch.labels)
        rows = outputs["predictions"].tolist()
        for index, row, length in zip(batch.indices, rows, batch.lengths.tolist(), strict=True):
            found[index] = row[:length]
    return found


def rate_share(step: int, steps: int) -> float:
    """Share of the highest rate: a linear warm-up, then half a cosine down to nothing."""
    warmup = max(1, round(WARMUP_SHARE * steps))
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def _batch(frames: SetFrames, indices: list[int], labels: Sequence[list[int]]) -> Batch:
    inputs, lengths = frames.batch(indices)
    rows = [torch.tensor(labels[index], dtype=torch.int64) for index in indices]
    padded = pad_sequence(rows, batch_first=True, padding_value=IGNORED_LABEL)
    return Batch(indices, inputs, lengths, padded.to(inputs.device))


def _endless(count: int, seed: int) -> Iterator[int]:
    """Places of batches, epoch by epoch."""
    generator = torch.Generator().manual_seed(seed)
    while True:
        yield from torch.randperm(count, generator=generator).tolist()
