"""Files in, transcripts out, with one model.

    file -> waveform -> segments -> batcher -> logits, stitched -> words

Decoding and reading run in a bounded pool of threads, inference in the batcher's; the event loop
only waits.
"""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from service.audio import Source
from service.batcher import Inference, Lane
from service.bundle import Manifest
from service.ctc import Transcript
from service.decoding import Decoder
from service.isolation.children import Children
from service.metrics import Metrics
from service.offers import check_offered
from service.options import Options
from service.passes import InThread, Passes, Progress
from service.reading import Reader
from service.scribe import Heard, Scribe
from service.tracing import Fact, Stage, Tracer, Untraced


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
        manifest: of the bundle that the model came from.
        decoder: makes waveforms of files; closed with the transcriber.
        passes: makes logits of waveforms.
        reader: of the same bundle.
        metrics: fed with what concerns decoding and reading.
        tracer: of each file and its stages.
    """

    def __init__(
        self,
        manifest: Manifest,
        decoder: Decoder,
        passes: Passes,
        reader: Reader,
        metrics: Metrics,
        tracer: Tracer = Untraced(),  # noqa: B008  has no state
    ) -> None:
        self._manifest = manifest
        self._decoder = decoder
        self._passes = passes
        self._reader = reader
        self._metrics = metrics
        self._tracer = tracer

    async def transcribe(
        self,
        source: Source,
        options: Options = Options(),  # noqa: B008  frozen
        *,
        deadline_s: float | None = None,
        lane: Lane | None = None,
        progress: Progress | None = None,
        heard: Heard | None = None,
    ) -> Transcription:
        """Transcribe one file; a cancelled caller takes its queued work along.

        Args:
            source: what `decode_audio` takes; not read any more after the return.
            options: what is asked for.
            deadline_s: latest time for the logits, on the clock of `time.monotonic`.
            lane: who waits; None makes what is short and one pass interactive, the rest bulk.
            progress: called on the event loop with the seconds that are through the model and those
                there are: first when the audio is decoded, then as each segment is done.
            heard: called on the event loop with the next words, as soon as they are certain.

        Raises:
            InvalidRequest: what is asked for is not served.
            ClientError: the audio cannot be used, see `decode_audio`.
            Overloaded: the queue or the memory for decoded audio is full.
            NotReady: the batcher is draining.
            DeadlineExceeded: the logits were not there in time.
            InferenceFailed: the model failed.
        """
        self.check_served(options)
        with self._tracer.span("transcribe") as span:
            infer = partial(self._passes.infer, lane=lane, deadline_s=deadline_s, progress=progress)
            done = await self._transcribe(source, options, infer, heard)
            span.set({"audio.duration_s": done.duration_s})
        return done

    async def _transcribe(
        self,
        source: Source,
        options: Options,
        infer: Callable[..., Awaitable[Inference]],
        heard: Heard | None,
    ) -> Transcription:
        started_s = time.monotonic()
        async with self._decoder.decoded(source) as waveform:
            decode_s = time.monotonic() - started_s
            self._metrics.audio_decode_duration.observe(decode_s)
            duration_s = waveform.size / self._manifest.sample_rate_hz
            reading = self._reader.open(duration_s, options)
            scribe = Scribe(reading, self._decoder.run, heard)
            inference = await infer(waveform, beginning=None if heard is None else scribe.begin)
        await scribe.finish(inference.logits)
        self._metrics.ctc_decode_duration.observe(scribe.spent_s)
        self._metrics.audio_seconds.inc(duration_s)
        total_s = time.monotonic() - started_s
        timing = Timing(decode_s, inference.queue_s, inference.inference_s, scribe.spent_s, total_s)
        self._tracer.stages(
            started_s,
            (
                Stage("decode", timing.decode_s),
                Stage("queue", timing.queue_s),
                Stage("inference", timing.inference_s, _batch_facts(inference)),
                Stage("ctc", timing.ctc_s),
            ),
        )
        return Transcription(
            Transcript.of(scribe.words),
            duration_s,
            options.language or self._only_language(),
            self._manifest.name,
            timing,
        )

    def check_served(self, options: Options) -> None:
        """Refuse what `transcribe` would refuse before it looks at the audio.

        Raises:
            InvalidRequest: the language, the model, the decoding or a hot word is not served.
        """
        check_offered("model", options.model, (self._manifest.name,))
        check_offered("language", options.language, self._manifest.languages)
        self._reader.check(options)

    def hinted(self, options: Options, hints: Sequence[str]) -> Options:
        """The options with hints as more hot words, as far as these can be had."""
        return self._reader.hinted(options, hints)

    @property
    def in_thread(self) -> InThread:
        """Calls something short in one of the threads that read logits."""
        return self._decoder.run

    @property
    def children(self) -> Children | None:
        """Processes to decode in, if that is not done in threads."""
        return self._decoder.children

    def close(self) -> None:
        """Let the threads go; what runs in them ends on its own."""
        self._decoder.close()

    def _only_language(self) -> str | None:
        languages = self._manifest.languages
        return languages[0] if len(languages) == 1 else None


def _batch_facts(inference: Inference) -> Mapping[str, Fact]:
    return {"batch.size": inference.batch_size, "batch.audio_s": inference.batch_audio_s}
