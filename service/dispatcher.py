"""What starts now, what is prepared meanwhile: the decisions between the queue and the model.

Who runs is decided when a session is free and not before. While all are busy, the batch that would
be next is padded ahead if it is full; but its members go on waiting, so it starts only if it is
still its lane's turn. Hence nothing that is prepared ever delays somebody more urgent, and however
many sessions long files keep busy, the next one that ends is for whoever is most urgent then.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from service.admission import BatchLimits, WaitingRoom
from service.errors import DeviceLost
from service.lanes import Lane, Turns
from service.metrics import Metrics
from service.packing import fair_share, is_full
from service.runner import Batch, Padded, Runner

logger = logging.getLogger(__name__)


class BatchReason(StrEnum):
    """What ended the wait for more utterances."""

    FULL = "full"
    DEADLINE = "deadline"
    IDLE = "idle"
    DRAIN = "drain"


@dataclass(frozen=True)
class _Prepared:
    batch: Batch
    padded: Padded


class Dispatcher:
    """Takes batches from the waiting room to the sessions of the model.

    Attributes:
        device_is_lost: nothing can be computed any more.
        is_making_way: all lanes but the live one leave it one of several sessions.

    Args:
        room: who waits.
        runner: runs batches.
        limits: bounds of batches, and sessions.
        metrics: batches are counted here.
        clock: current time in seconds.
    """

    def __init__(
        self,
        room: WaitingRoom,
        runner: Runner,
        limits: BatchLimits,
        metrics: Metrics,
        *,
        clock: Callable[[], float],
    ) -> None:
        self.device_is_lost = False
        self.is_making_way = False
        self._room = room
        self._runner = runner
        self._limits = limits
        self._metrics = metrics
        self._clock = clock
        self._budget = limits.budget
        self._turns = Turns()
        self._running: dict[asyncio.Task[None], Lane] = {}
        self._prepared: _Prepared | None = None
        self._free_since_s = clock()
        for reason in BatchReason:
            metrics.batches.labels(reason)

    @property
    def is_busy(self) -> bool:
        """Whether any batch runs."""
        return bool(self._running)

    def advance(self, *, is_draining: bool) -> float | None:
        """Start every batch that may start now, and prepare the one after them.

        Returns:
            Seconds after which to ask again, or None if only a change can matter.
        """
        while self._room.lanes():
            batch = self._next_batch()
            if not batch:
                continue
            if not self._idle_for(_lane_of(batch)):
                self._prepare(batch)
                return None
            reason = self._reason_to_start(batch, is_draining=is_draining)
            if reason is None:
                return self._due_s(batch) - self._clock()
            self._start(batch, reason)
        return None

    async def wait(self) -> None:
        """Until nothing runs."""
        if self._running:
            await asyncio.wait(self._running)

    @property
    def _idle_sessions(self) -> int:
        return self._limits.sessions - len(self._running)

    def _idle_for(self, lane: Lane) -> int:
        """Sessions in which a batch of this lane may start now."""
        if lane is Lane.LIVE or not self.is_making_way:
            return self._idle_sessions
        others = sum(running is not Lane.LIVE for running in self._running.values())
        return max(0, min(self._idle_sessions, max(1, self._limits.sessions - 1) - others))

    def _next_batch(self) -> Batch:
        """Who would be next; nobody if it had to be found out first that some have left."""
        lanes = self._room.lanes()
        if self.is_making_way and Lane.LIVE in lanes and not self._idle_for(Lane.BULK):
            lanes = [Lane.LIVE]  # a turn of the others could not start a batch
        lane = self._turns.next(lanes)
        batch = self._prepared.batch if self._prepared else []
        if not batch or _lane_of(batch) is not lane or not all(map(self._room.holds, batch)):
            batch = self._room.choose(lane)
        now_s = self._clock()
        left = [utterance for utterance in batch if not utterance.is_wanted(now_s)]
        for utterance in left:
            self._room.remove(utterance)
        return [] if left else batch

    def _prepare(self, batch: Batch) -> None:
        if self._is_full(batch) and not (self._prepared and self._prepared.batch is batch):
            self._prepared = _Prepared(batch, self._runner.pad(batch))

    def _reason_to_start(self, batch: Batch, *, is_draining: bool) -> BatchReason | None:
        if self._is_full(batch):
            return BatchReason.FULL
        if is_draining:
            return BatchReason.DRAIN
        due_s = self._due_s(batch)
        if due_s > self._clock():
            return None
        return BatchReason.IDLE if due_s <= self._free_since_s else BatchReason.DEADLINE

    def _is_full(self, batch: Batch) -> bool:
        return is_full([utterance.pending for utterance in batch], self._budget)

    def _due_s(self, batch: Batch) -> float:
        return batch[0].pending.arrived_s + self._limits.max_wait_ms / 1000

    def _start(self, batch: Batch, reason: BatchReason) -> None:
        lane = _lane_of(batch)
        self._turns.take(lane, self._room.lanes())
        batch = batch[: fair_share(self._room.size(lane), self._idle_for(lane))]
        prepared, self._prepared = self._prepared, None
        if prepared is None or prepared.batch != batch:
            prepared = _Prepared(batch, self._runner.pad(batch))
        self._room.take(batch)
        self._metrics.batches.labels(reason).inc()
        self._running[asyncio.create_task(self._run(prepared))] = lane

    async def _run(self, prepared: _Prepared) -> None:
        samples = sum(utterance.pending.samples for utterance in prepared.batch)
        audio_s = samples / self._limits.sample_rate_hz
        self._room.pace.begin(audio_s, self._clock())
        try:
            await self._runner.run(prepared.batch, prepared.padded)
        except DeviceLost as error:
            if not self.device_is_lost:
                logger.critical("the device is lost, restart the process: %s", error.message)
            self.device_is_lost = True
        finally:
            now_s = self._clock()
            self._room.pace.end(audio_s, now_s)
            if not self._idle_sessions:
                self._free_since_s = now_s
            del self._running[_this_task()]
            self._room.changed.set()


def _this_task() -> asyncio.Task[None]:
    task = asyncio.current_task()
    assert task is not None, "batches run in tasks"
    return task


def _lane_of(batch: Batch) -> Lane:
    return batch[0].pending.lane
