"""Batches through the model in worker threads, and an answer for every member of each batch."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import TypeAlias

import numpy as np

from service.admission import BatchLimits, Inference, Utterance
from service.arrays import FloatArray, IntArray
from service.backends.base import AcousticModel
from service.errors import DeviceLost, InferenceFailed, OutOfMemory
from service.metrics import Metrics
from service.packing import pad_waveforms, padding_ratio
from service.watchdog import in_time

logger = logging.getLogger(__name__)

Padded: TypeAlias = asyncio.Future[tuple[FloatArray, IntArray]]
Batch: TypeAlias = Sequence[Utterance]


class Runner:
    """Pads and infers off the event loop; a thread for each session, and one to pad meanwhile.

    Args:
        model: called by as many `run` at a time as the limits have sessions.
        limits: sessions and sample rate.
        metrics: fed with what concerns batches and inference.
        clock: current time in seconds; deadlines are on this clock.
        executor: what to run in instead of threads of its own; closed with the runner.
    """

    def __init__(
        self,
        model: AcousticModel,
        limits: BatchLimits,
        metrics: Metrics,
        *,
        clock: Callable[[], float],
        executor: Executor | None = None,
    ) -> None:
        self._model = model
        self._sample_rate_hz = limits.sample_rate_hz
        self._timeout_s = limits.inference_timeout_s
        self._metrics = metrics
        self._clock = clock
        self._executor = executor or ThreadPoolExecutor(limits.sessions + 1, "stt-inference")

    def pad(self, batch: Batch) -> Padded:
        """Begin to pad a batch."""
        waveforms = [utterance.waveform for utterance in batch]
        return asyncio.get_running_loop().run_in_executor(self._executor, pad_waveforms, waveforms)

    async def run(self, batch: Batch, padded: Padded) -> None:
        """Answer every member.

        A batch that fails is tried again in parts: in halves if memory was short, otherwise each
        member alone.

        Args:
            batch: at least one.
            padded: what `pad` returned for this batch.

        Raises:
            DeviceLost: nothing can be computed any more; every member knows.
        """
        try:
            await self._attempt(batch, padded)
        except DeviceLost:
            for utterance in batch:
                utterance.fail(DeviceLost("the device broke while it computed this audio"))
            raise

    def close(self) -> None:
        """Let the threads go; nothing may run any more."""
        self._executor.shutdown(wait=False)

    async def _attempt(self, batch: Batch, padded: Padded) -> None:
        try:
            await self._infer(batch, padded)
            return
        except DeviceLost:
            raise
        except Exception as error:
            logger.exception("inference failed for a batch of %d", len(batch))
            parts = _parts_to_retry(batch, error)
            if not parts:
                batch[0].fail(_failure(error))
        # Not in the handler: the error would keep alive what the failed attempt held in memory.
        for part in parts:
            await self._attempt(part, self.pad(part))

    async def _infer(self, batch: Batch, padded: Padded) -> None:
        waveforms, lengths = await padded
        started_s = self._clock()
        wanted = [utterance for utterance in batch if utterance.is_wanted(started_s)]
        if not wanted:
            return
        if len(wanted) < len(batch):
            waveforms, lengths = await self.pad(wanted)
            started_s = self._clock()
        loop = asyncio.get_running_loop()
        running = loop.run_in_executor(self._executor, self._rows, waveforms, lengths)
        rows = await in_time(running, self._timeout_s)
        inference_s = self._clock() - started_s
        audio_s = sum(one.pending.samples for one in wanted) / self._sample_rate_hz
        self._observe(wanted, audio_s, started_s, inference_s)
        for utterance, logits in zip(wanted, rows, strict=True):
            if not utterance.answer.done():
                queue_s = started_s - utterance.pending.arrived_s
                utterance.answer.set_result(
                    Inference(logits, queue_s, inference_s, len(wanted), audio_s)
                )

    def _rows(self, waveforms: FloatArray, lengths: IntArray) -> list[FloatArray]:
        logits, frame_lengths = self._model.infer(waveforms, lengths)
        if logits.ndim != 3 or not len(logits) == len(frame_lengths) == len(lengths):
            raise InferenceFailed(
                f"{len(lengths)} rows gave logits {logits.shape} and lengths {frame_lengths.shape}"
            )
        if not ((frame_lengths >= 0) & (frame_lengths <= logits.shape[1])).all():
            raise InferenceFailed(f"{logits.shape[1]} frames gave lengths {frame_lengths.tolist()}")
        rows = [row[:frames].copy() for row, frames in zip(logits, frame_lengths, strict=True)]
        if not all(np.isfinite(row).all() for row in rows):
            raise InferenceFailed("the logits are not finite")
        return rows

    def _observe(self, batch: Batch, audio_s: float, started_s: float, inference_s: float) -> None:
        samples = [utterance.pending.samples for utterance in batch]
        self._metrics.inference_duration.observe(inference_s)
        self._metrics.batch_size.observe(len(batch))
        self._metrics.batch_audio_seconds.observe(audio_s)
        self._metrics.batch_padding_ratio.observe(padding_ratio(samples))
        for utterance in batch:
            queue_s = started_s - utterance.pending.arrived_s
            self._metrics.queue_duration.labels(utterance.pending.lane).observe(queue_s)


def _parts_to_retry(batch: Batch, error: Exception) -> list[Batch]:
    if len(batch) == 1:
        return []
    size = (len(batch) + 1) // 2 if isinstance(error, OutOfMemory | MemoryError) else 1
    return [batch[start : start + size] for start in range(0, len(batch), size)]


def _failure(error: Exception) -> InferenceFailed:
    """What a caller is told; what the runtime said stays in the log."""
    if isinstance(error, OutOfMemory | MemoryError):
        failure: InferenceFailed = OutOfMemory("there is not enough memory for this audio, alone")
    else:
        failure = InferenceFailed("the model failed on this audio")
    failure.__cause__ = error
    return failure
