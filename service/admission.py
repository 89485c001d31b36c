"""The waiting room in front of the model: who may enter, and who waits in it."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from math import inf

from service.arrays import FloatArray
from service.errors import Overloaded, ServiceError
from service.lanes import Lane
from service.metrics import Metrics
from service.pace import Pace
from service.packing import BatchBudget, Line, Pending, choose_batch

SHORTEST_RETRY_S = 1.0


class Rejection(StrEnum):
    """Why somebody was turned away."""

    NOT_READY = "not_ready"
    TOO_LONG = "too_long"
    QUEUE_FULL = "queue_full"
    MEMORY_FULL = "memory_full"
    STREAMS_FULL = "streams_full"
    DEADLINE = "deadline"
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    RATE_LIMITED = "rate_limited"
    MODELS_IN_USE = "models_in_use"
    NO_DECODER = "no_decoder"
    BAD_HEAD = "bad_head"
    LATE_HEAD = "late_head"


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
        max_padding_ratio: padded part of a batch, 0 to 1.
        sessions: batches that the model takes at once.
        inference_timeout_s: longest time of one batch; beyond it the device counts as lost.
    """

    max_batch_samples: int
    max_utterance_samples: int
    max_batch_size: int
    max_wait_ms: float
    max_queue: int
    max_queue_audio_s: float
    sample_rate_hz: int
    batch_invariant: bool
    max_padding_ratio: float = 0.25
    sessions: int = 1
    inference_timeout_s: float = inf

    @property
    def budget(self) -> BatchBudget:
        """What one batch may cost."""
        size = self.max_batch_size if self.batch_invariant else 1
        return BatchBudget(self.max_batch_samples, size, self.max_padding_ratio)


@dataclass(frozen=True)
class Inference:
    """What became of one utterance.

    Attributes:
        logits: `[frames, vocab]`, valid frames only.
        queue_s: arrival to start of inference.
        inference_s: duration of the batch that it was part of.
        batch_size: utterances in that batch; the largest, where several passes were joined.
        batch_audio_s: their audio together, without padding; the largest likewise.
    """

    logits: FloatArray
    queue_s: float
    inference_s: float
    batch_size: int = 0
    batch_audio_s: float = 0.0


@dataclass(frozen=True, eq=False)
class Utterance:
    """One caller's audio on its way through the model.

    Attributes:
        pending: what packing needs to know of it.
        waveform: `[samples]`.
        answer: what the caller waits for; done early if the caller left.
        deadline_s: latest time at which the answer is of use.
    """

    pending: Pending
    waveform: FloatArray
    answer: asyncio.Future[Inference]
    deadline_s: float = inf

    def is_wanted(self, now_s: float) -> bool:
        """Whether the caller still waits; one whose deadline has passed is told, and does not."""
        if now_s >= self.deadline_s:
            self.fail(TimeoutError())
        return not self.answer.done()

    def fail(self, error: ServiceError | TimeoutError) -> None:
        """Tell the caller, unless it left."""
        if not self.answer.done():
            self.answer.set_exception(error)


class WaitingRoom:
    """Utterances that no batch has taken yet.

    Attributes:
        changed: set when somebody comes or leaves, unless a batch takes them.
        pace: how fast the model works; whoever runs batches tells it.

    Args:
        limits: bounds of the queue.
        metrics: its queue gauges are fed here.
    """

    def __init__(self, limits: BatchLimits, metrics: Metrics) -> None:
        self.changed = asyncio.Event()
        self.pace = Pace()
        self._limits = limits
        self._budget = limits.budget
        self._metrics = metrics
        self._utterances: dict[int, Utterance] = {}
        self._lines = {lane: Line() for lane in Lane}
        for lane in Lane:
            metrics.queue_duration.labels(lane)
            self._count(lane, 0, 0)
        for rejection in Rejection:
            metrics.rejected.labels(rejection)

    def check(self, samples: int, lane: Lane) -> None:
        """Refuse a request for which a lane has no room.

        A lane in which nobody waits has room for one request of any length.

        Raises:
            Overloaded: too many utterances or too much audio would wait.
        """
        line, limits = self._lines[lane], self._limits
        size = len(line)
        audio_s = (line.samples + samples) / limits.sample_rate_hz
        if size >= limits.max_queue:
            raise self._overloaded(lane, f"{size} utterances wait", size, limits.max_queue)
        if size and audio_s > limits.max_queue_audio_s:
            what = f"{audio_s:.1f} s would wait"
            raise self._overloaded(lane, what, audio_s, limits.max_queue_audio_s)

    def ahead_s(self, lane: Lane) -> float:
        """Audio that waits in front of a newcomer: as urgent as it, or more."""
        lanes = list(Lane)
        ahead = lanes[: lanes.index(lane) + 1]
        samples = sum(self._lines[other].samples for other in ahead)
        return samples / self._limits.sample_rate_hz

    def retry_after_s(self, audio_s: float) -> float:
        """How long what is in work takes, and then so much audio, at the measured rate."""
        return max(SHORTEST_RETRY_S, self.pace.expected_s(audio_s))

    def add(self, utterance: Utterance) -> None:
        """Let an utterance wait."""
        self._utterances[utterance.pending.key] = utterance
        self._lines[utterance.pending.lane].add(utterance.pending)
        self._count(utterance.pending.lane, 1, utterance.pending.samples)
        self.changed.set()

    def remove(self, utterance: Utterance) -> None:
        """Forget an utterance, if it still waits."""
        if self.holds(utterance):
            self.take([utterance])
            self.changed.set()

    def take(self, batch: Iterable[Utterance]) -> None:
        """Remove those who are in a batch now."""
        for utterance in batch:
            del self._utterances[utterance.pending.key]
            self._lines[utterance.pending.lane].remove(utterance.pending)
            self._count(utterance.pending.lane, -1, -utterance.pending.samples)

    def holds(self, utterance: Utterance) -> bool:
        """Whether it still waits."""
        return utterance.pending.key in self._utterances

    def lanes(self) -> list[Lane]:
        """Lanes in which somebody waits."""
        return [lane for lane, line in self._lines.items() if len(line)]

    def size(self, lane: Lane) -> int:
        """How many wait in a lane."""
        return len(self._lines[lane])

    def everyone(self) -> list[Utterance]:
        """All who wait."""
        return list(self._utterances.values())

    def choose(self, lane: Lane) -> list[Utterance]:
        """The next batch of a lane in which somebody waits; they go on waiting."""
        batch = choose_batch(self._lines[lane], self._budget)
        return [self._utterances[one.key] for one in batch]

    def _overloaded(self, lane: Lane, what: str, found: float, limit: float) -> Overloaded:
        self._metrics.rejected.labels(Rejection.QUEUE_FULL).inc()
        return Overloaded(
            f"the queue is full: {what}, the limit is {limit:g}",
            retry_after_s=self.retry_after_s(self.ahead_s(lane)),
            found=found,
            limit=limit,
        )

    def _count(self, lane: Lane, utterances: int, samples: int) -> None:
        self._metrics.count_waiting(lane, utterances, samples, self._limits.sample_rate_hz)
