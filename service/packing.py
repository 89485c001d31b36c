"""Which waiting utterances form the next batch; no clock, no I/O.

A batch costs its longest utterance times its size, since every row is padded to the longest. It is
built around the oldest utterance of one lane, which it always contains, and the nearest lengths
join. So whoever waits becomes the oldest in the end: nobody starves within a lane.

Lanes do not share a batch. A row lent to a less urgent lane would cost its own time on a CPU, where
a batch takes as long as its rows one by one, and would make an urgent batch longer on any device.
"""

from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np

from service.arrays import FloatArray, IntArray
from service.errors import EmptyAudio
from service.lanes import Lane


@dataclass(frozen=True)
class Pending:
    """An utterance that waits for a batch.

    Attributes:
        key: the caller's name for it; later ones have larger keys.
        samples: valid samples, at least one.
        arrived_s: when it came.
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

    def allows(self, size: int, longest_samples: int, valid_samples: int) -> bool:
        """Whether so many utterances, with so many samples in all, may share a batch."""
        computed_samples = size * longest_samples
        return (
            size <= self.max_batch_size
            and computed_samples <= self.max_batch_samples
            and 1 - valid_samples / computed_samples <= self.max_padding_ratio
        )


class Line:
    """Who waits in one lane, by arrival and by length, so that choosing stays cheap in long lines.

    Attributes:
        samples: of all together.
    """

    def __init__(self) -> None:
        self.samples = 0
        self._by_arrival: dict[int, Pending] = {}
        self._by_length: list[tuple[int, int]] = []  # samples and key

    def __len__(self) -> int:
        return len(self._by_arrival)

    def __iter__(self) -> Iterator[Pending]:
        return iter(self._by_arrival.values())

    def add(self, one: Pending) -> None:
        """Let one wait, who came after all others."""
        self._by_arrival[one.key] = one
        insort(self._by_length, (one.samples, one.key))
        self.samples += one.samples

    def remove(self, one: Pending) -> None:
        """Forget one who waits."""
        del self._by_arrival[one.key]
        del self._by_length[bisect_left(self._by_length, (one.samples, one.key))]
        self.samples -= one.samples

    def neighbours(self, one: Pending) -> tuple[Iterator[Pending], Iterator[Pending]]:
        """Who is shorter and who is longer than one who waits, each nearest first."""
        here = bisect_left(self._by_length, (one.samples, one.key))
        return self._at(range(here - 1, -1, -1)), self._at(range(here + 1, len(self)))

    def _at(self, places: range) -> Iterator[Pending]:
        return (self._by_arrival[self._by_length[place][1]] for place in places)


def padding_ratio(samples: Sequence[int]) -> float:
    """Padded part of a batch with utterances of these lengths, 0 to 1."""
    return 1 - sum(samples) / (max(samples) * len(samples))


def choose_batch(line: Line, budget: BatchBudget) -> list[Pending]:
    """Build a batch around the oldest utterance of a lane, from its neighbours in length.

    Args:
        line: at least one waits.
        budget: what the batch may cost, unless it is one utterance.

    Returns:
        The oldest utterance, then those that join, nearest length first. Every beginning of it
        keeps the budget too.
    """
    oldest = next(iter(line))
    batch, longest, valid = [oldest], oldest.samples, oldest.samples
    sides = line.neighbours(oldest)
    heads = {side: one for side in sides if (one := next(side, None))}
    while heads and len(batch) < budget.max_batch_size:
        side = min(heads, key=lambda side: abs(heads[side].samples - oldest.samples))
        one = heads.pop(side)  # who does not fit ends this side: those behind differ even more
        if budget.allows(len(batch) + 1, max(longest, one.samples), valid + one.samples):
            batch.append(one)
            longest, valid = max(longest, one.samples), valid + one.samples
            if follower := next(side, None):
                heads[side] = follower
    return batch


def is_full(batch: Sequence[Pending], budget: BatchBudget) -> bool:
    """Whether one more utterance as long as the longest would pass the budget."""
    size = len(batch) + 1
    longest = max(one.samples for one in batch)
    return size > budget.max_batch_size or size * longest > budget.max_batch_samples


def fair_share(waiting: int, idle_sessions: int) -> int:
    """How many of those who wait one of the idle sessions takes, so that all have work."""
    return ceil(waiting / idle_sessions)


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
