"""One bundle, loaded and at work, until the last who uses it has left."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from service.audio import SAMPLE_RATE_HZ, AudioLimits
from service.audio_memory import AudioMemory
from service.backends import LoadedModel
from service.batcher import DEVICE_IS_LOST, Batcher, BatchLimits
from service.config import Settings
from service.decoding import Decoder
from service.isolation.children import Children
from service.loading import Parts
from service.metrics import Metrics
from service.offers import Offer
from service.passes import Passes
from service.streaming.chunk_loop import ChunkLoop
from service.streaming.engine import Engine
from service.tracing import Tracer
from service.transcriber import Transcriber


@dataclass(frozen=True)
class Surroundings:
    """What all models of a process share.

    Attributes:
        settings: how they run.
        metrics: fed by all of them.
        tracer: of files and their stages.
        audio_memory: what all decoded audio together may take.
        children: processes to decode in; None decodes in threads.
    """

    settings: Settings
    metrics: Metrics
    tracer: Tracer
    audio_memory: AudioMemory
    children: Children | None


class ServedModel:
    """A loaded bundle and what runs it.

    Attributes:
        parts: what was loaded.
        batcher: in front of its model.
        transcriber: of files.
        engine: of streams.
        users: who keep it.

    Args:
        parts: loaded and tested.
        around: what it shares with other models.
    """

    def __init__(self, parts: Parts, around: Surroundings) -> None:
        self.parts = parts
        self.users = 0
        self._unused = asyncio.Event()
        self._unused.set()
        manifest, settings, metrics = parts.bundle.manifest, around.settings, around.metrics
        self.batcher = Batcher(parts.loaded.model, _batch_limits(settings, parts.loaded), metrics)
        limits = _audio_limits(settings, manifest.receptive_field_samples)
        decoder = Decoder(limits, settings.decode_workers, around.audio_memory, around.children)
        passes = Passes(manifest, self.batcher, settings, decoder.run)
        self.transcriber = Transcriber(
            manifest, decoder, passes, parts.reader, metrics, around.tracer
        )
        self._chunks = None
        if parts.streaming is not None:
            self._chunks = ChunkLoop(
                parts.streaming,
                settings.max_batch_size,
                metrics,
                timeout_s=settings.inference_timeout_s,
            )
        self.engine = Engine(manifest, self.batcher, self.transcriber, parts.reader, self._chunks)

    @property
    def offer(self) -> Offer:
        """What it is asked for as."""
        manifest = self.parts.bundle.manifest
        return Offer(manifest.name, manifest.languages)

    @property
    def failure(self) -> str | None:
        """Why the process must be restarted, if it must."""
        if self._chunks is not None and self._chunks.device_is_lost:
            return DEVICE_IS_LOST
        return self.batcher.failure

    @contextmanager
    def used(self) -> Iterator[None]:
        """Keep it from being retired."""
        self.users += 1
        self._unused.clear()
        try:
            yield
        finally:
            self.users -= 1
            if not self.users:
                self._unused.set()

    async def end(self) -> None:
        """Once nobody uses it any more, finish and close it."""
        await self._unused.wait()
        await self.drain()
        self.close()

    async def drain(self) -> None:
        """Finish what waits, and take no more."""
        await self.batcher.drain()
        if self._chunks is not None:
            await self._chunks.close()

    def close(self) -> None:
        """Let the threads go; what runs in them ends on its own."""
        self.transcriber.close()


def _audio_limits(settings: Settings, min_samples: int) -> AudioLimits:
    return AudioLimits(
        max_duration_s=settings.max_audio_s,
        max_channels=settings.max_channels,
        min_rate_hz=settings.min_rate_hz,
        max_rate_hz=settings.max_rate_hz,
        min_samples=min_samples,
    )


def _batch_limits(settings: Settings, loaded: LoadedModel) -> BatchLimits:
    return BatchLimits(
        max_batch_samples=loaded.max_batch_samples,
        max_utterance_samples=int(settings.max_pass_s * SAMPLE_RATE_HZ),
        max_batch_size=settings.max_batch_size,
        # Several sessions are for devices on which a batch takes as long as its members one by one.
        max_wait_ms=settings.max_wait_ms if loaded.sessions == 1 else 0,
        max_queue=settings.max_queue,
        max_queue_audio_s=settings.max_queue_audio_s,
        sample_rate_hz=SAMPLE_RATE_HZ,
        batch_invariant=loaded.variant.batch_invariant,
        max_padding_ratio=settings.max_padding_ratio,
        sessions=loaded.sessions,
        inference_timeout_s=settings.inference_timeout_s,
    )
