"""Files in, transcripts out: the one object that routes and commands call.

    file -> waveform -> segments -> batcher -> logits, stitched -> words

Decoding and reading run in a bounded pool of threads, inference in the batcher's; the event loop
only waits.
"""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from threading import Event
from typing import TypeVar

from service.arrays import FloatArray
from service.audio import AudioLimits, Source, decode_audio, is_silent
from service.batcher import Batcher, Inference, Lane
from service.bundle import Manifest
from service.config import Settings
from service.ctc import Transcript, blank_logits, greedy_decode
from service.errors import InvalidRequest
from service.metrics import Metrics
from service.segmentation import OVERLAP_S, Segment, split, stitch

T = TypeVar("T")

Progress = Callable[[float, float], None]


@dataclass(frozen=True)
class Timing:
    """Where the time of a request went, in seconds.

    Attributes:
        decode_s: bytes to waveform, waiting for a thread included.
        queue_s: until inference began.
        inference_s: until it ended; for several segments, until the last one did.
        ctc_s: logits to words.
        total_s: all of it.
    """

    decode_s: float
    queue_s: float
    inference_s: float
    ctc_s: float
    total_s: float


@dataclass(frozen=True)
class Transcription:
    """A transcribed file.

    Attributes:
        transcript: text and words; empty for silence.
        duration_s: length of the audio.
        language: the one asked for or the model's only one; None if it has several.
        model: name of the bundle.
        timing: where the time went.
    """

    transcript: Transcript
    duration_s: float
    language: str | None
    model: str
    timing: Timing


class Transcriber:
    """Transcribes files with one model.

    Args:
        manifest: of the bundle that the batcher's model came from.
        batcher: started.
        metrics: fed with what concerns decoding and reading.
        settings: limits of the audio, of one pass, and of the threads.
    """

    def __init__(
        self, manifest: Manifest, batcher: Batcher, metrics: Metrics, settings: Settings
    ) -> None:
        self._manifest = manifest
        self._batcher = batcher
        self._metrics = metrics
        self._limits = AudioLimits(
            max_duration_s=settings.max_audio_s,
            max_channels=settings.max_channels,
            min_rate_hz=settings.min_rate_hz,
            max_rate_hz=settings.max_rate_hz,
            min_samples=manifest.receptive_field_samples,
        )
        self._longest_pass_s = min(settings.max_pass_s, manifest.longest_single_pass_s or math.inf)
        self._bulk_s = settings.max_batch_s
        self._threads = ThreadPoolExecutor(settings.decode_workers, "stt-decode")

    async def transcribe(
        self,
        source: Source,
        *,
        language: str | None = None,
        model: str | None = None,
        deadline_s: float | None = None,
        lane: Lane | None = None,
        progress: Progress | None = None,
    ) -> Transcription:
        """Transcribe one file; a cancelled caller takes its queued work along.

        Args:
            source: what `decode_audio` takes; not read any more after the return.
            language: code of what is spoken; None leaves it to the model.
            model: name that the bundle must have; None takes what is there.
            deadline_s: latest time for the logits, on the clock of `time.monotonic`.
            lane: who waits; None makes what fits one batch interactive, and the rest bulk.
            progress: called on the event loop with the seconds that are through the model and those
                there are: first when the audio is decoded, then as each segment is done.

        Raises:
            InvalidRequest: the language or the model is not served.
            ClientError: the audio cannot be used, see `decode_audio`.
            Overloaded: the queue is full.
            NotReady: the batcher is draining.
            DeadlineExceeded: the logits were not there in time.
            InferenceFailed: the model failed.
        """
        _check_served("model", model, (self._manifest.name,))
        _check_served("language", language, self._manifest.languages)
        started_s = time.monotonic()
        waveform, decode_s = await _timed(self._decode(source))
        self._metrics.audio_decode_duration.observe(decode_s)
        duration_s = waveform.size / self._manifest.sample_rate_hz
        lane = lane or (Lane.BULK if duration_s > self._bulk_s else Lane.INTERACTIVE)
        inference = await self._infer(waveform, lane, deadline_s, progress or _ignore)
        transcript, ctc_s = await _timed(self._read(inference.logits, duration_s))
        self._metrics.ctc_decode_duration.observe(ctc_s)
        self._metrics.audio_seconds.inc(duration_s)
        total_s = time.monotonic() - started_s
        return Transcription(
            transcript,
            duration_s,
            language or self._only_language(),
            self._manifest.name,
            Timing(decode_s, inference.queue_s, inference.inference_s, ctc_s, total_s),
        )

    def close(self) -> None:
        """Let the threads go; what runs in them ends on its own."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _decode(self, source: Source) -> FloatArray:
        stop = Event()
        job = self._threads.submit(decode_audio, source, self._limits, stop=stop)
        decoding = asyncio.wrap_future(job)
        try:
            return await asyncio.shield(decoding)
        except asyncio.CancelledError:
            stop.set()
            job.cancel()
            await asyncio.wait({decoding})  # the caller closes the source as soon as we leave
            raise

    async def _infer(
        self, waveform: FloatArray, lane: Lane, deadline_s: float | None, progress: Progress
    ) -> Inference:
        rate_hz = self._manifest.sample_rate_hz
        segments = self._segments(waveform.size)
        if len(segments) > 1:
            lane = Lane.BULK
        if lane is Lane.BULK:
            self._batcher.check_room(waveform.size)
        done_samples = 0

        async def infer(segment: Segment, own_samples: int) -> Inference:
            nonlocal done_samples
            inference = await self._logits(segment.of(waveform), lane, deadline_s)
            done_samples += own_samples
            progress(done_samples / rate_hz, waveform.size / rate_hz)
            return inference

        progress(0.0, waveform.size / rate_hz)
        starts = [*(segment.start_sample for segment in segments), waveform.size]
        answers = [
            asyncio.create_task(infer(segment, end - start))
            for segment, (start, end) in zip(segments, pairwise(starts), strict=True)
        ]
        try:
            parts = await asyncio.gather(*answers)
        finally:
            for answer in answers:
                answer.cancel()
            await asyncio.wait(answers)
        if len(parts) == 1:
            return parts[0]
        return await self._in_thread(_join, parts, segments, self._manifest.samples_per_frame)

    async def _logits(
        self, waveform: FloatArray, lane: Lane, deadline_s: float | None
    ) -> Inference:
        """Logits of one pass; silence is not asked about, since models answer all the same."""
        if await self._in_thread(is_silent, waveform):
            manifest = self._manifest
            blank = blank_logits(waveform.size, manifest.samples_per_frame, manifest.vocabulary)
            return Inference(blank, queue_s=0.0, inference_s=0.0)
        return await self._batcher.submit(waveform, lane=lane, deadline_s=deadline_s)

    async def _read(self, logits: FloatArray, duration_s: float) -> Transcript:
        return await self._in_thread(
            partial(
                greedy_decode,
                logits,
                self._manifest.vocabulary,
                frame_s=self._manifest.samples_per_frame / self._manifest.sample_rate_hz,
                duration_s=duration_s,
            )
        )

    async def _in_thread(self, function: Callable[..., T], *args: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *args)

    def _segments(self, samples: int) -> list[Segment]:
        rate_hz = self._manifest.sample_rate_hz
        return split(
            samples,
            longest_samples=int(self._longest_pass_s * rate_hz),
            overlap_samples=int(OVERLAP_S * rate_hz),
            samples_per_frame=self._manifest.samples_per_frame,
        )

    def _only_language(self) -> str | None:
        languages = self._manifest.languages
        return languages[0] if len(languages) == 1 else None


async def _timed(work: Awaitable[T]) -> tuple[T, float]:
    """The result, and how long it took in seconds."""
    started_s = time.monotonic()
    result = await work
    return result, time.monotonic() - started_s


def _join(
    parts: Sequence[Inference], segments: Sequence[Segment], samples_per_frame: int
) -> Inference:
    """What one pass over all segments would have given; times from first start to last end."""
    logits = [part.logits for part in parts]
    queue_s = min(part.queue_s for part in parts)
    end_s = max(part.queue_s + part.inference_s for part in parts)
    stitched = stitch(logits, segments, samples_per_frame=samples_per_frame)
    return Inference(stitched, queue_s, end_s - queue_s)


def _ignore(_done_s: float, _total_s: float) -> None:
    pass


def _check_served(param: str, found: str | None, served: Sequence[str]) -> None:
    if found and found not in served:
        raise InvalidRequest(
            f"{param} {found!r} is not served here; there is {', '.join(served)}",
            found=found,
            limit=list(served),
            param=param,
        )
