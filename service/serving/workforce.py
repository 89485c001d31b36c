"""Every model that is loaded, those included that only their last users still keep."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from service import gpu_memory, memory
from service.admission import Rejection
from service.audio_memory import AudioMemory
from service.config import Settings, visible_gpu
from service.isolation.children import Children, Death
from service.isolation.wire import Bounds
from service.loading import load_parts
from service.metrics import Metrics
from service.serving.model import ServedModel, Surroundings
from service.tracing import Tracer


class Workforce:
    """Loads models, and lets them go.

    Args:
        settings: how they run.
        metrics: fed by all of them.
        tracer: of files and their stages.
    """

    def __init__(self, settings: Settings, metrics: Metrics, tracer: Tracer) -> None:
        self._settings = settings
        self._metrics = metrics
        self._tracer = tracer
        self._around: Surroundings | None = None
        self._models: list[ServedModel] = []
        self._leaving: set[asyncio.Task[None]] = set()
        self._is_making_way = False
        self._watches_gpu = False
        for death in Death:
            metrics.decoder_deaths.labels(death)

    @property
    def failure(self) -> str | None:
        """Why the process must be restarted, if it must."""
        return next(filter(None, (model.failure for model in self._models)), None)

    async def take(self, folder: Path) -> ServedModel:
        """Load and start a bundle.

        Raises:
            InvalidBundle: it cannot be served.
        """
        parts = await asyncio.to_thread(load_parts, self._settings, folder)
        model = ServedModel(parts, self._surroundings())
        model.batcher.make_way(self._is_making_way)
        await model.batcher.start()
        self._models.append(model)
        if parts.loaded.device == "cuda" and not self._watches_gpu:
            gpu_memory.watch(self._metrics.registry, visible_gpu())
            self._watches_gpu = True
        return model

    def let_go(self, model: ServedModel) -> None:
        """End a model that is given to nobody any more, after its last user."""
        leaving = asyncio.create_task(self._leave(model))
        self._leaving.add(leaving)
        leaving.add_done_callback(self._leaving.discard)

    def make_way(self, is_needed: bool) -> None:
        """Leave a session of each to people who speak; see `Batcher.make_way`."""
        self._is_making_way = is_needed
        for model in self._models:
            model.batcher.make_way(is_needed)

    async def left(self) -> None:
        """Wait until those have left that were let go."""
        while self._leaving:
            await asyncio.wait(self._leaving)

    async def drain(self) -> None:
        """Finish what waits, once nobody brings more."""
        await self.left()
        for model in list(self._models):
            await model.drain()

    def close(self) -> None:
        """Let all threads go."""
        for model in self._models:
            model.close()
        if self._around is not None and self._around.children is not None:
            self._around.children.close()

    def _surroundings(self) -> Surroundings:
        """What all share, from the first one on."""
        if self._around is None:
            settings, metrics = self._settings, self._metrics
            audio_memory = AudioMemory(settings.max_decoded_audio_s, metrics, self._retry_after_s)
            children = _open_children(settings, metrics)
            self._around = Surroundings(settings, metrics, self._tracer, audio_memory, children)
        return self._around

    async def _leave(self, model: ServedModel) -> None:
        await model.end()
        self._models.remove(model)
        del model  # the sessions of the runtime go with the last reference
        await asyncio.to_thread(memory.trim_heap)

    def _retry_after_s(self, audio_s: float) -> float:
        """As long as the slowest takes; may be called from any thread."""
        models = tuple(self._models)
        return max((model.batcher.retry_after_s(audio_s) for model in models), default=0.0)


def _open_children(settings: Settings, metrics: Metrics) -> Children | None:
    if settings.decode_isolation == "thread":
        return None
    bounds = Bounds(settings.decode_timeout_s, settings.decode_memory_bytes)
    return Children(
        bounds,
        on_death=lambda death: metrics.decoder_deaths.labels(death).inc(),
        on_refusal=metrics.rejected.labels(Rejection.NO_DECODER).inc,
    )


def describe(models: Sequence[ServedModel], metrics: Metrics) -> None:
    """Tell which models answer now."""
    metrics.model_info.clear()
    metrics.model_memory_bytes.clear()
    for model in models:
        name, loaded = model.offer.name, model.parts.loaded
        metrics.model_memory_bytes.labels(name).set(loaded.memory_bytes)
        metrics.model_info.labels(name).info(
            {
                "file": loaded.variant.file,
                "runtime": loaded.variant.runtime,
                "precision": loaded.variant.precision,
                "device": loaded.device,
            }
        )
    metrics.sessions.set(sum(model.parts.loaded.sessions for model in models))
