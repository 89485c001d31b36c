"""Which waiting utterances form the next batch; pure functions of what waits.

A batch costs its longest utterance times its size, since every row is padded to the longest. It is
built around the oldest utterance of one lane, which it always contains, and the nearest lengths
join. So whoever waits becomes the oldest in the end: nobody starves within a lane. Between lanes,
interactive goes first and bulk has a guaranteed turn.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from service.arrays import FloatArray, IntArray
from service.errors import EmptyAudio

BULK_TURN = 4  # while both lanes wait, every fourth batch is bulk


class Lane(StrEnum):
    """Who waits for an utterance, most urgent first."""

    INTERACTIVE = "interactive"
    BULK = "bulk"


@dataclass(frozen=True)
class Pending:
    """An utterance that waits for a batch.

    Attributes:
        key: the caller's name for it.
        samples: valid samples, at least one.
        arrived_s: when it came, on any clock; only the order counts.
        lane: who waits for it.
    """

    key: int
    samples: int
    arrived_s: float
    lane: Lane = Lane.INTERACTIVE


@dataclass(frozen=True)
class BatchBudget:
    """What one batch may cost.

    Attributes:
        max_batch_samples: longest utterance times size, padding included; an utterance that is
            longer than that runs alone.
        max_batch_size: utterances.
        max_padding_ratio: padded part of all samples, 0 to 1. Zero joins equal lengths only; more
            fills batches sooner, but makes short utterances wait for computing on zeros.
    """

    max_batch_samples: int
    max_batch_size: int
    max_padding_ratio: float = 0.25

    def allows(self, samples: Sequence[int]) -> bool:
        """Whether utterances of these lengths may share a batch."""
        return (
            len(samples) <= self.max_batch_size
            and max(samples) * len(samples) <= self.max_batch_samples
            and padding_ratio(samples) <= self.max_padding_ratio
        )


def padding_ratio(samples: Sequence[int]) -> float:
    """Padded part of a batch with utterances of these lengths, 0 to 1."""
    return 1 - sum(samples) / (max(samples) * len(samples))


def choose_lane(waiting: Iterable[Lane], batches_since_bulk: int) -> Lane:
    """Lane of the next batch: the most urgent one, but bulk when its turn has come.

    Args:
        waiting: lanes in which somebody waits, at least one.
        batches_since_bulk: batches of other lanes since the last bulk batch.
    """
    lanes = set(waiting)
    if Lane.BULK in lanes and batches_since_bulk >= BULK_TURN - 1:
        return Lane.BULK
    return next(lane for lane in Lane if lane in lanes)


def choose_batch(pending: Iterable[Pending], lane: Lane, budget: BatchBudget) -> list[Pending]:
    """Build a batch around the oldest utterance of a lane; lanes do not mix.

    Args:
        pending: what waits, in any order; at least one utterance in the lane.
        lane: who is served.
        budget: what the batch may cost, unless it is one utterance.

    Returns:
        The oldest utterance, then those that join, nearest length first.
    """
    candidates = [one for one in pending if one.lane is lane]
    oldest = min(candidates, key=lambda one: (one.arrived_s, one.key))
    candidates.remove(oldest)
    candidates.sort(key=lambda one: (abs(one.samples - oldest.samples), one.arrived_s, one.key))
    batch = [oldest]
    for one in candidates:
        if len(batch) == budget.max_batch_size:
            break
        if budget.allows([*(chosen.samples for chosen in batch), one.samples]):
            batch.append(one)
    return batch


def is_full(batch: Sequence[Pending], budget: BatchBudget) -> bool:
    """Whether one more utterance as long as the longest would pass the budget."""
    size = len(batch) + 1
    longest = max(one.samples for one in batch)
    return size > budget.max_batch_size or size * longest > budget.max_batch_samples


def pad_waveforms(waveforms: Sequence[FloatArray]) -> tuple[FloatArray, IntArray]:
    """Right-pad utterances into one batch.

    Args:
        waveforms: at least one; each `[samples]`.

    Returns:
        batch `[batch, samples]`, zero after each utterance's end, and
        lengths `[batch]`, the valid samples of each row, in input order.

    Raises:
        EmptyAudio: an utterance has no samples.
    """
    lengths = np.array([waveform.size for waveform in waveforms], dtype=np.int64)
    if not lengths.all():
        raise EmptyAudio(f"utterance {int(lengths.argmin())} of the batch has no samples", found=0)
    batch = np.zeros((len(waveforms), int(lengths.max())), dtype=np.float32)
    for row, waveform in zip(batch, waveforms, strict=True):
        row[: waveform.size] = waveform
    return batch, lengths
