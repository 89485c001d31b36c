"""Waveforms to logits: one pass where model and settings allow it, several joined otherwise."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, Protocol, TypeVar

import numpy as np

from service.arrays import FloatArray
from service.audio import is_silent
from service.batcher import Batcher, Inference, Lane
from service.bundle import Manifest
from service.config import Settings
from service.ctc import blank_logits
from service.lone_sounds import SETTLED_S, without_lone_sounds
from service.segmentation import Cutting, Segment, split, stitch

T = TypeVar("T")

Progress = Callable[[float, float], None]
Beginning = Callable[[FloatArray], Awaitable[None]]

SHORT_S = 30.0  # what is longer is bulk, even where it fits one pass
LEAST_GROWTH = (
    1.1  # of the beginning that is told, in segments: for an hour, 40 times instead of 140
)


class InThread(Protocol):
    """Calls a function in a thread."""

    def __call__(self, function: Callable[..., T], /, *args: object) -> Awaitable[T]:
        """What the function returns."""
        ...


class Passes:
    """Cuts what is too long for one pass, and joins what the batcher answers.

    Args:
        manifest: of the bundle that the batcher's model came from.
        batcher: started.
        settings: how long a pass may be.
        in_thread: for what would block the event loop.
    """

    def __init__(
        self, manifest: Manifest, batcher: Batcher, settings: Settings, in_thread: InThread
    ) -> None:
        self._manifest = manifest
        self._batcher = batcher
        self._in_thread = in_thread
        self._cutting = Cutting.of(
            min(settings.max_pass_s, manifest.longest_single_pass_s or math.inf),
            sample_rate_hz=manifest.sample_rate_hz,
            samples_per_frame=manifest.samples_per_frame,
        )

    async def infer(
        self,
        waveform: FloatArray,
        *,
        lane: Lane | None,
        deadline_s: float | None,
        progress: Progress | None,
        beginning: Beginning | None = None,
    ) -> Inference:
        """Logits `[frames, vocab]` of a waveform `[samples]`; see `Transcriber.transcribe`.

        `beginning` is called and awaited with those of its first frames that will not change, each
        time with more, as segments are done.
        """
        segments = await self._in_thread(split, waveform, self._cutting)
        duration_s = waveform.size / self._manifest.sample_rate_hz
        if lane is None or len(segments) > 1:
            is_short = len(segments) == 1 and duration_s <= SHORT_S
            lane = Lane.INTERACTIVE if is_short else Lane.BULK
        if lane is Lane.BULK:
            self._batcher.check_room(waveform.size)
        done_s = 0.0

        def advance(seconds: float) -> None:
            nonlocal done_s
            done_s += seconds
            if progress is not None:
                progress(done_s, duration_s)

        advance(0)
        edges = [*(segment.start_sample for segment in segments), waveform.size]

        async def infer(segment: Segment, samples: int, is_silent: bool) -> Inference:
            answer = await self._infer_one(segment.of(waveform), is_silent, lane, deadline_s)
            advance(samples / self._manifest.sample_rate_hz)
            return answer

        # All at once, so that segments enter the queue in their order.
        silences = await self._in_thread(_silences, waveform, segments)
        answers = [
            asyncio.create_task(infer(segment, end - start, is_silent))
            for segment, (start, end), is_silent in zip(
                segments, pairwise(edges), silences, strict=True
            )
        ]
        inference = await self._gather(answers, segments, waveform, beginning)
        logits = await self._in_thread(self._without_lone_sounds, inference.logits, waveform)
        return replace(inference, logits=logits)

    async def _gather(
        self,
        answers: Sequence[asyncio.Task[Inference]],
        segments: Sequence[Segment],
        waveform: FloatArray,
        beginning: Beginning | None,
    ) -> Inference:
        tasks: list[asyncio.Task[Any]] = [*answers]
        if beginning is not None:
            telling = self._tell(answers, segments, waveform, beginning)
            tasks.append(asyncio.create_task(telling))
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        parts = [answer.result() for answer in answers]
        return await self._in_thread(_join, parts, segments, self._manifest.samples_per_frame)

    async def _tell(
        self,
        answers: Sequence[asyncio.Task[Inference]],
        segments: Sequence[Segment],
        waveform: FloatArray,
        beginning: Beginning,
    ) -> None:
        """Hand over what is settled; less often the more it is, as each time all is looked at."""
        parts, told = [], 0
        for answer in answers[:-1]:
            parts.append((await answer).logits)
            if len(parts) >= told * LEAST_GROWTH:
                told = len(parts)
                await beginning(await self._in_thread(self._settled, parts, segments, waveform))

    def _settled(
        self, parts: Sequence[FloatArray], segments: Sequence[Segment], waveform: FloatArray
    ) -> FloatArray:
        """Logits `[frames, vocab]` from the beginning that no later segment will change."""
        manifest, done = self._manifest, len(parts)
        hop = manifest.samples_per_frame
        cut = (segments[done - 1].end_sample + segments[done].start_sample) // 2 // hop
        logits = stitch(parts, segments[:done], samples_per_frame=hop)[:cut]
        settled = max(0, cut - math.ceil(SETTLED_S * manifest.sample_rate_hz / hop))
        return self._without_lone_sounds(logits, waveform)[:settled]

    def _without_lone_sounds(self, logits: FloatArray, waveform: FloatArray) -> FloatArray:
        return without_lone_sounds(
            logits,
            waveform,
            self._manifest.vocabulary,
            samples_per_frame=self._manifest.samples_per_frame,
            sample_rate_hz=self._manifest.sample_rate_hz,
        )

    async def _infer_one(
        self, waveform: FloatArray, is_silent: bool, lane: Lane, deadline_s: float | None
    ) -> Inference:
        """Logits of one pass; silence is not asked about, since models answer all the same."""
        if is_silent:
            manifest = self._manifest
            blank = blank_logits(waveform.size, manifest.samples_per_frame, manifest.vocabulary)
            unheard = manifest.output_columns - blank.shape[1]
            return Inference(np.pad(blank, ((0, 0), (0, unheard))), queue_s=0.0, inference_s=0.0)
        return await self._batcher.submit(waveform, lane=lane, deadline_s=deadline_s)


def _silences(waveform: FloatArray, segments: Sequence[Segment]) -> list[bool]:
    return [is_silent(segment.of(waveform)) for segment in segments]


def _join(
    parts: Sequence[Inference], segments: Sequence[Segment], samples_per_frame: int
) -> Inference:
    """What one pass over all segments would have given; times from first start to last end."""
    if len(parts) == 1:
        return parts[0]
    logits = [part.logits for part in parts]
    queue_s = min(part.queue_s for part in parts)
    end_s = max(part.queue_s + part.inference_s for part in parts)
    stitched = stitch(logits, segments, samples_per_frame=samples_per_frame)
    batch_size = max(part.batch_size for part in parts)
    batch_audio_s = max(part.batch_audio_s for part in parts)
    return Inference(stitched, queue_s, end_s - queue_s, batch_size, batch_audio_s)
