"""Whose turn it is: live streams before interactive requests before long files.

Urgency decides, and turns keep everyone going: a lane that was passed over `PATIENCE` times in a
row, while somebody waited in it, is next. Hence, counted in batches that start:

- a lane is passed over at most `PATIENCE` times in a row, and once more if the turn of another lane
  came at the same moment; a long file gets at least every fifth batch, every fourth without live
  streams;
- the most urgent of those that wait is passed over only by such turns, at most one of each other
  lane. A lane that has just been served is not due for a turn. So a short request beside a long
  file waits for a running batch to end, and for no other.

Turns are counted in batches and not in seconds waited, because all segments of a long file arrive
together: by their age they would all go before whoever comes later.
"""

from collections.abc import Collection
from enum import StrEnum

PATIENCE = 3


class Lane(StrEnum):
    """Who waits for an utterance, most urgent first."""

    LIVE = "live"
    INTERACTIVE = "interactive"
    BULK = "bulk"


class Turns:
    """Remembers how often each lane was passed over since it was last served."""

    def __init__(self) -> None:
        self._passed: dict[Lane, int] = {}

    def next(self, waiting: Collection[Lane]) -> Lane:
        """Lane of the next batch.

        Args:
            waiting: lanes in which somebody waits, at least one.
        """
        by_urgency = [lane for lane in Lane if lane in waiting]
        overdue = [lane for lane in by_urgency if self._passed.get(lane, 0) >= PATIENCE]
        return max(overdue, key=self._passed.__getitem__) if overdue else by_urgency[0]

    def take(self, lane: Lane, waiting: Collection[Lane]) -> None:
        """A batch of this lane starts, and passes over the others in which somebody waits."""
        self._passed = {
            other: self._passed.get(other, 0) + 1 for other in waiting if other is not lane
        }
