"""Chunks of many streams as one batch: whatever is ready when the graph is free, up to a bound.

The graph runs in a thread of its own and never waits for offline batches; while anybody speaks,
they leave it a core (`Batcher.make_way`).
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from math import inf

import numpy as np

from service.arrays import FloatArray
from service.audio import SAMPLE_RATE_HZ
from service.backends.base import State, StreamingModel
from service.errors import DeviceLost, InferenceFailed, NotReady, ServiceError
from service.lanes import Lane
from service.metrics import Metrics
from service.watchdog import in_time

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ChunkResult:
    """What became of a chunk: logits `[frames, vocab]`, valid frames only, and the next state."""

    logits: FloatArray
    state: State


@dataclass(frozen=True, eq=False)
class _Waiting:
    waveform: FloatArray
    length: int
    state: State
    answer: asyncio.Future[ChunkResult]
    arrived_s: float


class ChunkLoop:
    """Runs the chunks that streams submit.

    Attributes:
        device_is_lost: nothing can be computed any more.

    Args:
        model: called from one thread.
        max_batch: most chunks at a time.
        metrics: fed with the wait of each chunk, and each batch's size, audio and duration.
        timeout_s: longest time of one batch; beyond it the device counts as lost.
        clock: current time in seconds.
        executor: where the graph runs; a thread of its own if None.
    """

    def __init__(
        self,
        model: StreamingModel,
        max_batch: int,
        metrics: Metrics,
        *,
        timeout_s: float = inf,
        clock: Callable[[], float] = time.monotonic,
        executor: Executor | None = None,
    ) -> None:
        self.device_is_lost = False
        self._timeout_s = timeout_s
        self._model = model
        self._max_batch = max_batch
        self._metrics = metrics
        self._clock = clock
        self._executor = executor or ThreadPoolExecutor(1, "stt-chunks")
        self._waiting: deque[_Waiting] = deque()
        self._is_open = True
        self._running: asyncio.Task[None] | None = None

    async def submit(self, waveform: FloatArray, length: int, state: State) -> ChunkResult:
        """Compute one chunk of one stream.

        Args:
            waveform: `[samples]`: left context, chunk and lookahead.
            length: valid samples from its beginning.
            state: of the stream before this chunk.

        Raises:
            NotReady: the loop was closed.
            InferenceFailed: the graph failed on this chunk, alone as well.
        """
        if not self._is_open:
            raise NotReady("the service is stopping and takes no audio now")
        answer: asyncio.Future[ChunkResult] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(waveform, length, state, answer, self._clock()))
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._serve())
        return await answer

    async def close(self) -> None:
        """Take no more, and wait for what runs."""
        self._is_open = False
        if self._running is not None:
            await asyncio.wait({self._running})
        self._executor.shutdown(wait=False)

    async def _serve(self) -> None:
        """Until nobody waits: who comes while a batch runs is in the next one."""
        while batch := self._next_batch():
            await self._answer(batch)

    def _next_batch(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        while self._waiting and len(batch) < self._max_batch:
            one = self._waiting.popleft()
            if one.answer.done():  # its stream has left
                self._metrics.cancelled.inc()
            else:
                batch.append(one)
        return batch

    async def _answer(self, batch: Sequence[_Waiting]) -> None:
        """Answer everyone; a batch that fails is tried again one by one."""
        try:
            results = await self._infer(batch)
        except Exception as error:
            logger.exception("the streaming graph failed for a batch of %d", len(batch))
            self.device_is_lost |= isinstance(error, DeviceLost)
            if len(batch) == 1 or isinstance(error, DeviceLost):
                for one in batch:
                    _fail(one, error)
                return
        else:
            for one, result in zip(batch, results, strict=True):
                if not one.answer.done():
                    one.answer.set_result(result)
            return
        for one in batch:
            await self._answer([one])

    async def _infer(self, batch: Sequence[_Waiting]) -> list[ChunkResult]:
        started_s = self._clock()
        for one in batch:
            self._metrics.queue_duration.labels(Lane.LIVE).observe(started_s - one.arrived_s)
        loop = asyncio.get_running_loop()
        running = loop.run_in_executor(self._executor, _infer, self._model, batch)
        results = await in_time(running, self._timeout_s)
        self._metrics.inference_duration.observe(self._clock() - started_s)
        self._metrics.batch_size.observe(len(batch))
        audio_s = sum(one.length for one in batch) / SAMPLE_RATE_HZ
        self._metrics.batch_audio_seconds.observe(audio_s)
        return results


def _infer(model: StreamingModel, batch: Sequence[_Waiting]) -> list[ChunkResult]:
    waveforms = np.stack([one.waveform for one in batch])
    lengths = np.array([one.length for one in batch], dtype=np.int64)
    states = {name: np.stack([one.state[name] for one in batch]) for name in batch[0].state}
    output = model.infer(waveforms, lengths, states)
    if not np.isfinite(output.logits).all():
        raise InferenceFailed("the logits are not finite")
    return [
        ChunkResult(
            output.logits[row, :frames].copy(),
            {name: tensor[row].copy() for name, tensor in output.states.items()},
        )
        for row, frames in enumerate(output.frame_lengths.tolist())
    ]


def _fail(one: _Waiting, error: Exception) -> None:
    """Tell a stream; what the runtime said stays in the log."""
    failure: ServiceError = InferenceFailed("the model failed on this audio")
    if isinstance(error, DeviceLost):
        failure = DeviceLost("the device broke while it computed this audio")
    failure.__cause__ = error
    if not one.answer.done():
        one.answer.set_exception(failure)
