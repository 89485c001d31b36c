"""Files in, transcripts out: the one object that routes and commands call.

    file -> waveform -> segments -> batcher -> logits, stitched -> words

Decoding and reading run in a bounded pool of threads, inference in the batcher's; the event loop
only waits.
"""

import time
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from service.arrays import FloatArray
from service.audio import AudioLimits, Source
from service.audio_memory import AudioMemory
from service.batcher import Batcher, Lane
from service.bundle import Manifest
from service.config import Settings
from service.ctc import Transcript, greedy_decode
from service.decoding import Decoder
from service.errors import InvalidRequest
from service.metrics import Metrics
from service.passes import Passes, Progress

T = TypeVar("T")


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
        self._metrics = metrics
        limits = AudioLimits(
            max_duration_s=settings.max_audio_s,
            max_channels=settings.max_channels,
            min_rate_hz=settings.min_rate_hz,
            max_rate_hz=settings.max_rate_hz,
            min_samples=manifest.receptive_field_samples,
        )
        memory = AudioMemory(settings.max_decoded_audio_s, metrics, batcher.retry_after_s)
        self._decoder = Decoder(limits, settings.decode_workers, memory)
        self._passes = Passes(manifest, batcher, settings, self._decoder.run)

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
            lane: who waits; None makes what is short and one pass interactive, the rest bulk.
            progress: called on the event loop with the seconds that are through the model and those
                there are: first when the audio is decoded, then as each segment is done.

        Raises:
            InvalidRequest: the language or the model is not served.
            ClientError: the audio cannot be used, see `decode_audio`.
            Overloaded: the queue or the memory for decoded audio is full.
            NotReady: the batcher is draining.
            DeadlineExceeded: the logits were not there in time.
            InferenceFailed: the model failed.
        """
        self.check_served(language=language, model=model)
        started_s = time.monotonic()
        async with self._decoder.decoded(source) as waveform:
            decode_s = time.monotonic() - started_s
            self._metrics.audio_decode_duration.observe(decode_s)
            duration_s = waveform.size / self._manifest.sample_rate_hz
            inference = await self._passes.infer(
                waveform, lane=lane, deadline_s=deadline_s, progress=progress
            )
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

    def check_served(self, *, language: str | None = None, model: str | None = None) -> None:
        """Refuse what `transcribe` would refuse before it looks at the audio.

        Raises:
            InvalidRequest: the language or the model is not served.
        """
        _check_served("model", model, (self._manifest.name,))
        _check_served("language", language, self._manifest.languages)

    def close(self) -> None:
        """Let the threads go; what runs in them ends on its own."""
        self._decoder.close()

    async def _read(self, logits: FloatArray, duration_s: float) -> Transcript:
        return await self._decoder.run(
            partial(
                greedy_decode,
                logits,
                self._manifest.vocabulary,
                frame_s=self._manifest.samples_per_frame / self._manifest.sample_rate_hz,
                duration_s=duration_s,
            )
        )

    def _only_language(self) -> str | None:
        languages = self._manifest.languages
        return languages[0] if len(languages) == 1 else None


async def _timed(work: Awaitable[T]) -> tuple[T, float]:
    """The result, and how long it took in seconds."""
    started_s = time.monotonic()
    result = await work
    return result, time.monotonic() - started_s


def _check_served(param: str, found: str | None, served: Sequence[str]) -> None:
    if found and found not in served:
        raise InvalidRequest(
            f"{param} {found!r} is not served here; there is {', '.join(served)}",
            found=found,
            limit=list(served),
            param=param,
        )
