"""Utterances in, logits out: the door for callers and the loop that batches.

The loop waits without limit for a first utterance, then until a batch is full or its oldest member
has waited long enough. A batch that is not full keeps growing while the model is busy; a full one
is prepared meanwhile. Bulk is never prepared ahead, so what arrives in a more urgent lane waits for
the running batch only.
"""

import asyncio
import itertools
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from enum import StrEnum

from service.admission import BatchLimits, Inference, Rejection, Utterance, WaitingRoom
from service.arrays import FloatArray
from service.backends.base import AcousticModel
from service.errors import AudioTooLong, DeadlineExceeded, EmptyAudio, NotReady
from service.metrics import Metrics
from service.packing import Lane, Pending, choose_batch, choose_lane, is_full
from service.runner import Padded, Runner

__all__ = ["BatchLimits", "BatchReason", "Batcher", "Inference", "Lane"]


class BatchReason(StrEnum):
    """What ended the wait for more utterances."""

    FULL = "full"
    DEADLINE = "deadline"
    IDLE = "idle"
    DRAIN = "drain"


class Batcher:
    """Shares one model among many callers; only inference and padding leave the event loop.

    Args:
        model: called from a worker thread, one batch at a time.
        limits: bounds of batches and of the queue.
        metrics: fed with what concerns queue, batches and inference.
        clock: current time in seconds; deadlines are on this clock.
    """

    def __init__(
        self,
        model: AcousticModel,
        limits: BatchLimits,
        metrics: Metrics,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limits = limits
        self._metrics = metrics
        self._clock = clock
        self._room = WaitingRoom(limits, metrics)
        self._changed = asyncio.Event()
        self._keys = itertools.count()
        self._runner = Runner(model, limits.sample_rate_hz, metrics, clock=clock)
        self._accepting = False
        self._loop_task: asyncio.Task[None] | None = None
        self._running: asyncio.Task[None] | None = None
        self._model_free_since_s = clock()
        self._batches_since_bulk = 0
        for reason in BatchReason:
            metrics.batches.labels(reason)

    @property
    def accepting(self) -> bool:
        """Whether `submit` would not refuse with `NotReady`."""
        return self._accepting

    async def start(self) -> None:
        """Begin to accept and serve."""
        self._accepting = True
        self._loop_task = asyncio.create_task(self._serve())

    async def drain(self) -> None:
        """Refuse new utterances, finish the queued ones, stop; may be called again."""
        self._accepting = False
        self._changed.set()
        if self._loop_task is not None:
            await asyncio.wait({self._loop_task})
        self._runner.close()

    def check_room(self, samples: int, *, lane: Lane = Lane.BULK) -> None:
        """Refuse a request, before it is cut into segments, for which there is no room.

        Raises:
            NotReady: not started, or draining.
            Overloaded: the lane's queue is full; an empty one takes any length.
        """
        if not self._accepting:
            self._metrics.rejected.labels(Rejection.NOT_READY).inc()
            raise NotReady("the service is starting or stopping and takes no audio now")
        self._room.check(samples, lane)

    def retry_after_s(self, audio_s: float) -> float:
        """When a refused caller should come back: how long so much audio takes, at least 1 s."""
        return self._room.retry_after_s(audio_s)

    async def submit(
        self,
        waveform: FloatArray,
        *,
        lane: Lane = Lane.INTERACTIVE,
        deadline_s: float | None = None,
    ) -> Inference:
        """Queue one utterance and wait for its logits; a cancelled caller leaves the queue.

        Bulk segments belong to a request that `check_room` let in as a whole, so a full queue does
        not refuse them one by one.

        Args:
            waveform: `[samples]`, at the model's rate, left unchanged by everyone meanwhile.
            lane: who waits for it.
            deadline_s: latest time at which the answer is of use, on the batcher's clock.

        Raises:
            EmptyAudio: no samples.
            AudioTooLong: longer than one utterance may be.
            NotReady: not started, or draining.
            Overloaded: the queue is full.
            DeadlineExceeded: not answered in time.
            InferenceFailed: the model failed on this utterance, alone as well.
        """
        self._check_length(waveform.size)
        if lane is not Lane.BULK or not self._accepting:
            self.check_room(waveform.size, lane=lane)
        utterance = self._enqueue(waveform, lane)
        try:
            return await self._answer(utterance, deadline_s)
        except asyncio.CancelledError:
            self._metrics.cancelled.inc()
            raise
        finally:
            if self._room.remove(utterance.pending.key):
                self._changed.set()

    def _check_length(self, samples: int) -> None:
        if samples == 0:
            raise EmptyAudio("the utterance has no samples", found=0)
        limit_samples, rate_hz = self._limits.max_utterance_samples, self._limits.sample_rate_hz
        if samples > limit_samples:
            self._metrics.rejected.labels(Rejection.TOO_LONG).inc()
            found_s, limit_s = samples / rate_hz, limit_samples / rate_hz
            raise AudioTooLong(
                f"{found_s:.1f} s do not fit one pass of {limit_s:.1f} s",
                found=found_s,
                limit=limit_s,
            )

    def _enqueue(self, waveform: FloatArray, lane: Lane) -> Utterance:
        pending = Pending(next(self._keys), waveform.size, self._clock(), lane)
        utterance = Utterance(pending, waveform, asyncio.get_running_loop().create_future())
        self._room.add(utterance)
        self._changed.set()
        return utterance

    async def _answer(self, utterance: Utterance, deadline_s: float | None) -> Inference:
        remaining_s = None if deadline_s is None else deadline_s - self._clock()
        try:
            async with asyncio.timeout(remaining_s):
                return await utterance.answer
        except TimeoutError as error:
            self._metrics.rejected.labels(Rejection.DEADLINE).inc()
            waited_s = self._clock() - utterance.pending.arrived_s
            raise DeadlineExceeded(
                f"no answer after {waited_s:.1f} s", found=waited_s, limit=remaining_s
            ) from error

    async def _serve(self) -> None:
        try:
            while batch := await self._next_batch():
                padded = self._runner.pad(batch)
                await self._model_is_free()
                self._running = asyncio.create_task(self._run(batch, padded))
            await self._model_is_free()
        finally:
            self._accepting = False
            for utterance in self._room.take(self._room.pending()):
                utterance.answer.set_exception(NotReady("the service stopped"))

    async def _model_is_free(self) -> None:
        if self._running is not None:
            await self._running

    async def _next_batch(self) -> list[Utterance]:
        while True:
            self._changed.clear()
            wait_s = None
            if pending := self._room.pending():
                lane = choose_lane((one.lane for one in pending), self._batches_since_bulk)
                batch = choose_batch(pending, lane, self._limits.budget)
                if reason := self._reason_to_send(batch):
                    return self._take(batch, reason)
                wait_s = self._wait_s(batch)
            elif not self._accepting:
                return []
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._changed.wait()

    def _reason_to_send(self, batch: Sequence[Pending]) -> BatchReason | None:
        busy = self._running is not None
        may_prepare = not busy or batch[0].lane is not Lane.BULK
        if may_prepare and is_full(batch, self._limits.budget):
            return BatchReason.FULL
        if busy:
            return None
        if not self._accepting:
            return BatchReason.DRAIN
        if (due_s := self._due_s(batch)) > self._clock():
            return None
        return BatchReason.IDLE if due_s <= self._model_free_since_s else BatchReason.DEADLINE

    def _due_s(self, batch: Sequence[Pending]) -> float:
        return batch[0].arrived_s + self._limits.max_wait_ms / 1000

    def _wait_s(self, batch: Sequence[Pending]) -> float | None:
        return None if self._running is not None else self._due_s(batch) - self._clock()

    def _take(self, batch: Sequence[Pending], reason: BatchReason) -> list[Utterance]:
        bulk = batch[0].lane is Lane.BULK
        self._batches_since_bulk = 0 if bulk else self._batches_since_bulk + 1
        self._metrics.batches.labels(reason).inc()
        return self._room.take(batch)

    async def _run(self, batch: Sequence[Utterance], padded: Padded) -> None:
        started_s = self._clock()
        await self._runner.run(batch, padded)
        self._running = None
        self._model_free_since_s = self._clock()
        samples = sum(utterance.pending.samples for utterance in batch)
        audio_s = samples / self._limits.sample_rate_hz
        self._room.learn_rate(audio_s, self._model_free_since_s - started_s)
        self._changed.set()
