"""Utterances in, logits out: the door for callers, and the loop behind it.

The loop waits without limit for a first utterance, then until a batch is full or its oldest member
has waited long enough. What queued while the model was busy is the natural next batch.
"""

import asyncio
import itertools
import logging
import time
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import suppress
from math import inf

from service.admission import BatchLimits, Inference, Rejection, Utterance, WaitingRoom
from service.arrays import FloatArray
from service.backends.base import AcousticModel
from service.dispatcher import BatchReason, Dispatcher
from service.errors import AudioTooLong, DeadlineExceeded, DeviceLost, EmptyAudio, NotReady
from service.lanes import Lane
from service.metrics import Metrics
from service.packing import Pending
from service.runner import Runner

__all__ = ["BatchLimits", "BatchReason", "Batcher", "Inference", "Lane"]

DEVICE_IS_LOST = "the device broke; only a restart helps"

logger = logging.getLogger(__name__)


class Batcher:
    """Shares one model among many callers; only inference and padding leave the event loop.

    Args:
        model: called from worker threads, as many batches at a time as the limits have sessions.
        limits: bounds of batches and of the queue.
        metrics: fed with what concerns queue, batches and inference.
        clock: current time in seconds; deadlines are on this clock.
        executor: where the model is called; threads of its own if None.
    """

    def __init__(
        self,
        model: AcousticModel,
        limits: BatchLimits,
        metrics: Metrics,
        *,
        clock: Callable[[], float] = time.monotonic,
        executor: Executor | None = None,
    ) -> None:
        self._limits = limits
        self._metrics = metrics
        self._clock = clock
        self._keys = itertools.count()
        self._room = WaitingRoom(limits, metrics)
        self._runner = Runner(model, limits, metrics, clock=clock, executor=executor)
        self._dispatcher = Dispatcher(self._room, self._runner, limits, metrics, clock=clock)
        self._accepting = False
        self._failure: str | None = None
        self._loop_task: asyncio.Task[None] | None = None

    @property
    def accepting(self) -> bool:
        """Whether `submit` would not refuse with `NotReady`."""
        return self._accepting

    @property
    def failure(self) -> str | None:
        """Why it stopped without having been asked to; only a restart of the process helps."""
        if self._dispatcher.device_is_lost:
            return DEVICE_IS_LOST
        return self._failure

    async def start(self) -> None:
        """Begin to accept and serve."""
        self._accepting = True
        self._loop_task = asyncio.create_task(self._serve())

    async def drain(self) -> None:
        """Refuse new utterances, finish the queued ones, stop; may be called again."""
        self._accepting = False
        self._room.changed.set()
        if self._loop_task is not None:
            await asyncio.wait({self._loop_task})
        await self._dispatcher.wait()
        self._runner.close()

    def check_room(self, samples: int, *, lane: Lane = Lane.BULK) -> None:
        """Refuse a request, before it is cut into segments, for which there is no room.

        Raises:
            NotReady: not started, draining, or broken.
            Overloaded: the lane's queue is full; an empty one takes any length.
        """
        if not self._accepting:
            self._metrics.rejected.labels(Rejection.NOT_READY).inc()
            starting_or_stopping = "the service is starting or stopping and takes no audio now"
            raise NotReady(self.failure or starting_or_stopping)
        self._room.check(samples, lane)

    def make_way(self, is_needed: bool) -> None:
        """While people speak, leave one of several sessions to them, or its core to their chunks.

        Otherwise what they say would wait for batches that have started, of a third of a second
        and more on a CPU.
        """
        self._dispatcher.is_making_way = is_needed
        self._room.changed.set()

    def ahead_s(self, lane: Lane) -> float:
        """Seconds of audio that wait in front of a newcomer to this lane."""
        return self._room.ahead_s(lane)

    def retry_after_s(self, audio_s: float) -> float:
        """When a refused caller should come back: after what runs and so much audio, at least 1 s.

        Computed from the measured rate; may be called from any thread.
        """
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
            NotReady: not started, draining, or broken.
            Overloaded: the queue is full.
            DeadlineExceeded: not answered in time.
            InferenceFailed: the model failed on this utterance, alone as well; `OutOfMemory` and
                `DeviceLost` say so.
        """
        self._check_length(waveform.size)
        if lane is not Lane.BULK or not self._accepting:
            self.check_room(waveform.size, lane=lane)
        utterance = self._enqueue(waveform, lane, inf if deadline_s is None else deadline_s)
        try:
            return await self._answer(utterance)
        except asyncio.CancelledError:
            self._metrics.cancelled.inc()
            raise
        finally:
            self._room.remove(utterance)

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

    def _enqueue(self, waveform: FloatArray, lane: Lane, deadline_s: float) -> Utterance:
        pending = Pending(next(self._keys), waveform.size, self._clock(), lane)
        answer: asyncio.Future[Inference] = asyncio.get_running_loop().create_future()
        utterance = Utterance(pending, waveform, answer, deadline_s)
        self._room.add(utterance)
        return utterance

    async def _answer(self, utterance: Utterance) -> Inference:
        """Wait for it; the end of time comes from here, or from whoever would have computed it."""
        arrived_s, deadline_s = utterance.pending.arrived_s, utterance.deadline_s
        try:
            async with asyncio.timeout(None if deadline_s == inf else deadline_s - arrived_s):
                return await utterance.answer
        except TimeoutError as error:
            self._metrics.rejected.labels(Rejection.DEADLINE).inc()
            waited_s = self._clock() - arrived_s
            raise DeadlineExceeded(
                f"no answer after {waited_s:.1f} s", found=waited_s, limit=deadline_s - arrived_s
            ) from error

    async def _serve(self) -> None:
        try:
            while not self._is_done():
                self._room.changed.clear()
                wait_s = self._dispatcher.advance(is_draining=not self._accepting)
                with suppress(TimeoutError):
                    async with asyncio.timeout(wait_s):
                        await self._room.changed.wait()
        except Exception:
            logger.critical("the batcher broke, restart the process", exc_info=True)
            self._failure = "inference has stopped, the log says why"
        finally:
            self._stop()

    def _is_done(self) -> bool:
        has_work = self._room.lanes() or self._dispatcher.is_busy
        return self.failure is not None or not (self._accepting or has_work)

    def _stop(self) -> None:
        """Let nobody in any more, and nobody wait in vain."""
        self._accepting = False
        for utterance in self._room.everyone():
            if self._dispatcher.device_is_lost:
                utterance.fail(DeviceLost("the device broke while this audio waited for it"))
            else:
                utterance.fail(NotReady("the service stopped"))
