"""Batches through the model in worker threads, and an answer for every member of each batch."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeAlias

from service.admission import Inference, Utterance
from service.arrays import FloatArray, IntArray
from service.backends.base import AcousticModel
from service.errors import InferenceFailed
from service.metrics import Metrics
from service.packing import pad_waveforms, padding_ratio

logger = logging.getLogger(__name__)

Padded: TypeAlias = asyncio.Future[tuple[FloatArray, IntArray]]


class Runner:
    """Pads and infers off the event loop; two threads, so that one can pad while one infers.

    Args:
        model: called by one `run` at a time.
        sample_rate_hz: of every waveform.
        metrics: fed with what concerns batches and inference.
        clock: current time in seconds.
    """

    def __init__(
        self,
        model: AcousticModel,
        sample_rate_hz: int,
        metrics: Metrics,
        *,
        clock: Callable[[], float],
    ) -> None:
        self._model = model
        self._sample_rate_hz = sample_rate_hz
        self._metrics = metrics
        self._clock = clock
        self._threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="stt-inference")

    def pad(self, batch: Sequence[Utterance]) -> Padded:
        """Begin to pad a batch."""
        waveforms = [utterance.waveform for utterance in batch]
        loop = asyncio.get_running_loop()
        return loop.run_in_executor(self._threads, pad_waveforms, waveforms)

    async def run(self, batch: Sequence[Utterance], padded: Padded) -> None:
        """Answer every member; if the batch fails, each member is tried alone. Never raises.

        Args:
            batch: at least one; members whose callers left are carried along.
            padded: what `pad` returned for this batch.
        """
        try:
            await self._infer(batch, padded)
        except Exception as error:
            logger.exception("inference failed for a batch of %d", len(batch))
            if len(batch) == 1:
                _fail(batch[0], error)
                return
            for utterance in batch:
                await self.run([utterance], self.pad([utterance]))

    def close(self) -> None:
        """Let the threads go; nothing may run any more."""
        self._threads.shutdown(wait=False)

    async def _infer(self, batch: Sequence[Utterance], padded: Padded) -> None:
        waveforms, lengths = await padded
        if all(utterance.answer.done() for utterance in batch):
            return
        started_s = self._clock()
        loop = asyncio.get_running_loop()
        rows = await loop.run_in_executor(self._threads, self._rows, waveforms, lengths)
        inference_s = self._clock() - started_s
        self._observe(batch, started_s, inference_s)
        for utterance, logits in zip(batch, rows, strict=True):
            if not utterance.answer.done():
                queue_s = started_s - utterance.pending.arrived_s
                utterance.answer.set_result(Inference(logits, queue_s, inference_s))

    def _rows(self, waveforms: FloatArray, lengths: IntArray) -> list[FloatArray]:
        logits, frame_lengths = self._model.infer(waveforms, lengths)
        rows = zip(logits, frame_lengths, lengths, strict=True)  # one each, or it is a failure
        return [row[:frames].copy() for row, frames, _ in rows]

    def _observe(self, batch: Sequence[Utterance], started_s: float, inference_s: float) -> None:
        samples = [utterance.pending.samples for utterance in batch]
        self._metrics.inference_duration.observe(inference_s)
        self._metrics.batch_size.observe(len(batch))
        self._metrics.batch_audio_seconds.observe(sum(samples) / self._sample_rate_hz)
        self._metrics.batch_padding_ratio.observe(padding_ratio(samples))
        for utterance in batch:
            queue_s = started_s - utterance.pending.arrived_s
            self._metrics.queue_duration.labels(utterance.pending.lane).observe(queue_s)


def _fail(utterance: Utterance, error: Exception) -> None:
    if not utterance.answer.done():
        failure = InferenceFailed("the model failed on this audio")
        failure.__cause__ = error
        utterance.answer.set_exception(failure)
