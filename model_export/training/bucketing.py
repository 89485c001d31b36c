"""Batches of examples of like size, shared out over the processes that train together."""

from collections.abc import Iterator, Sequence

import numpy as np

Batch = list[int]


class BucketBatches:
    """Batches of a bounded padded cost, of which this process gets every `ranks`-th one.

    For training, all processes get the same number of batches, and together every example once:
    large batches are halved until there are enough. Where even batches of one example do not come
    out even, less than one for each process is left out of an epoch, others in each.

    The order is a function of seed and epoch alone, so that a resumed run sees the same batches.

    Args:
        sizes: size of each example.
        budget: bound on longest x count, unless one example alone is larger.
        seed: of the order; None keeps ascending sizes and leaves nothing out, for evaluation.
        rank: of this process, from 0.
        ranks: how many processes there are.
    """

    def __init__(
        self, sizes: Sequence[int], budget: int, seed: int | None, rank: int = 0, ranks: int = 1
    ) -> None:
        batches = _bucketed(sizes, budget)
        self._batches = batches if seed is None else _evened(batches, ranks)
        self._seed = seed
        self._rank = rank
        self._ranks = ranks
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of an epoch."""
        self._epoch = epoch

    def __len__(self) -> int:
        return len(self._of_this_rank(self._batches))

    def __iter__(self) -> Iterator[Batch]:
        batches = list(self._batches)
        if self._seed is not None:
            np.random.default_rng((self._seed, self._epoch)).shuffle(batches)
        return iter(self._of_this_rank(batches))

    def _of_this_rank(self, batches: list[Batch]) -> list[Batch]:
        left_out = 0 if self._seed is None else len(batches) % self._ranks
        return batches[self._rank : len(batches) - left_out : self._ranks]


def _bucketed(sizes: Sequence[int], budget: int) -> list[Batch]:
    batches: list[Batch] = []
    for index in np.argsort(np.asarray(sizes), kind="stable").tolist():
        if batches and int(sizes[index]) * (len(batches[-1]) + 1) <= budget:
            batches[-1].append(index)
        else:
            batches.append([index])
    return batches


def _evened(batches: list[Batch], ranks: int) -> list[Batch]:
    """As many batches as a multiple of `ranks`, if halving can make them."""
    evened = list(batches)
    while len(evened) % ranks:
        position = max(range(len(evened)), key=lambda index: len(evened[index]))
        largest = evened[position]
        if len(largest) == 1:
            break
        middle = len(largest) // 2
        evened[position : position + 1] = [largest[:middle], largest[middle:]]
    return evened
