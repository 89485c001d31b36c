"""The waiting room in front of the model: who may enter, and who waits in it."""

import asyncio
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from service.arrays import FloatArray
from service.errors import Overloaded
from service.metrics import Metrics
from service.packing import BatchBudget, Lane, Pending

RATE_MEMORY = 0.8  # weight of the past in the measured rate; a batch adds the rest


class Rejection(StrEnum):
    """Why an utterance was turned away."""

    NOT_READY = "not_ready"
    TOO_LONG = "too_long"
    QUEUE_FULL = "queue_full"
    MEMORY_FULL = "memory_full"
    DEADLINE = "deadline"


@dataclass(frozen=True)
class BatchLimits:
    """Bounds of batches and of the queue.

    Attributes:
        max_batch_samples: longest utterance times batch size; an utterance beyond it runs alone.
        max_utterance_samples: longest utterance.
        max_batch_size: utterances in one batch.
        max_wait_ms: how long the oldest waits for company while the model is free.
        max_queue: utterances that may wait, in each lane.
        max_queue_audio_s: seconds of audio that may wait, in each lane.
        sample_rate_hz: of every waveform.
        batch_invariant: logits do not depend on batch mates; otherwise each runs alone.
    """

    max_batch_samples: int
    max_utterance_samples: int
    max_batch_size: int
    max_wait_ms: float
    max_queue: int
    max_queue_audio_s: float
    sample_rate_hz: int
    batch_invariant: bool

    @property
    def budget(self) -> BatchBudget:
        """What one batch may cost."""
        size = self.max_batch_size if self.batch_invariant else 1
        return BatchBudget(self.max_batch_samples, size)


@dataclass(frozen=True)
class Inference:
    """What became of one utterance.

    Attributes:
        logits: `[frames, vocab]`, valid frames only.
        queue_s: arrival to start of inference.
        inference_s: duration of the batch that it was part of.
    """

    logits: FloatArray
    queue_s: float
    inference_s: float


@dataclass(frozen=True)
class Utterance:
    """One caller's audio on its way through the model.

    Attributes:
        pending: what packing needs to know of it.
        waveform: `[samples]`.
        answer: what the caller waits for; done early if the caller left.
    """

    pending: Pending
    waveform: FloatArray
    answer: asyncio.Future[Inference]


class WaitingRoom:
    """Utterances that no batch has taken yet.

    Args:
        limits: bounds of the queue.
        metrics: its queue gauges are fed here.
    """

    def __init__(self, limits: BatchLimits, metrics: Metrics) -> None:
        self._limits = limits
        self._metrics = metrics
        self._waiting: dict[int, Utterance] = {}
        self._size = Counter(dict.fromkeys(Lane, 0))
        self._samples = Counter(dict.fromkeys(Lane, 0))
        self._audio_s_per_s = 1.0
        for lane in Lane:
            metrics.queue_duration.labels(lane)
            self._publish(lane)
        for rejection in Rejection:
            metrics.rejected.labels(rejection)

    def check(self, samples: int, lane: Lane) -> None:
        """Refuse a request for which a lane has no room.

        A lane in which nobody waits has room for one request of any length.

        Raises:
            Overloaded: too many utterances or too much audio would wait.
        """
        size = self._size[lane]
        audio_s = (self._samples[lane] + samples) / self._limits.sample_rate_hz
        if size >= self._limits.max_queue:
            raise self._overloaded(f"{size} utterances wait", audio_s, size, self._limits.max_queue)
        if size and audio_s > (limit_s := self._limits.max_queue_audio_s):
            raise self._overloaded(f"{audio_s:.1f} s would wait", audio_s, audio_s, limit_s)

    def add(self, utterance: Utterance) -> None:
        """Let an utterance wait."""
        self._waiting[utterance.pending.key] = utterance
        self._count(utterance.pending, 1)

    def remove(self, key: int) -> bool:
        """Forget an utterance; returns whether it was still waiting."""
        utterance = self._waiting.pop(key, None)
        if utterance is not None:
            self._count(utterance.pending, -1)
        return utterance is not None

    def take(self, batch: Iterable[Pending]) -> list[Utterance]:
        """Remove those chosen for a batch, and return them."""
        chosen = [self._waiting[pending.key] for pending in batch]
        for utterance in chosen:
            self.remove(utterance.pending.key)
        return chosen

    def pending(self) -> list[Pending]:
        """Who waits, without those whose caller has just left."""
        return [one.pending for one in self._waiting.values() if not one.answer.done()]

    def learn_rate(self, audio_s: float, inference_s: float) -> None:
        """Update the measured rate, from which refused callers learn when to come back."""
        rate = audio_s / max(inference_s, 1e-6)
        self._audio_s_per_s += (1 - RATE_MEMORY) * (rate - self._audio_s_per_s)

    def retry_after_s(self, audio_s: float) -> float:
        """How long so much audio takes at the measured rate, at least 1 s."""
        return max(1.0, audio_s / self._audio_s_per_s)

    def _overloaded(self, what: str, audio_s: float, found: float, limit: float) -> Overloaded:
        self._metrics.rejected.labels(Rejection.QUEUE_FULL).inc()
        return Overloaded(
            f"the queue is full: {what}, the limit is {limit:g}",
            retry_after_s=self.retry_after_s(audio_s),
            found=found,
            limit=limit,
        )

    def _count(self, pending: Pending, sign: int) -> None:
        self._size[pending.lane] += sign
        self._samples[pending.lane] += sign * pending.samples
        self._publish(pending.lane)

    def _publish(self, lane: Lane) -> None:
        audio_s = self._samples[lane] / self._limits.sample_rate_hz
        self._metrics.queue_size.labels(lane).set(self._size[lane])
        self._metrics.queue_audio_seconds.labels(lane).set(audio_s)
