"""All models of a process: which a request means, and that it is there until the request ends."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from service.admission import Rejection
from service.audio import Source
from service.batcher import Lane
from service.config import Settings
from service.errors import InvalidBundle, ModelUnavailable, NotReady, Overloaded
from service.metrics import Metrics
from service.offers import Offer, Offers, check_offered
from service.options import Options
from service.passes import Progress
from service.serving.model import ServedModel
from service.serving.shelf import State
from service.serving.workforce import Workforce, describe
from service.tracing import Tracer
from service.transcriber import Transcription

RETRY_AFTER_S = 5.0  # files end sooner, streams later

logger = logging.getLogger(__name__)


@dataclass(eq=False)
class Entry:
    """A bundle that is served, in its folder.

    Attributes:
        offer: what it is asked for as.
        state: of the folder when it was last looked into.
        written_s: when its manifest was written, in seconds of the epoch.
        model: the bundle, loaded; None if it is loaded on demand and was not asked for.
        used_s: when it was last asked for, on the clock of `time.monotonic`.
        loading: its load on demand.
    """

    offer: Offer
    state: State
    written_s: float
    model: ServedModel | None = None
    used_s: float = 0.0
    loading: asyncio.Task[None] | None = None


class Models:
    """The one object that routes, jobs and commands call.

    Attributes:
        entries: by folder, the default's first.
        changing: held by whoever loads or replaces models.
        workforce: all that are loaded.

    Args:
        settings: how they run, and how many may be loaded.
        metrics: fed by all of them; here with what is loaded.
        tracer: of files and their stages.
    """

    def __init__(self, settings: Settings, metrics: Metrics, tracer: Tracer) -> None:
        self.entries: dict[Path, Entry] = {}
        self.changing = asyncio.Lock()
        self.workforce = Workforce(settings, metrics, tracer)
        self._max_loaded = settings.max_loaded_bundles
        self._metrics = metrics

    @property
    def default(self) -> ServedModel | None:
        """What a request means that says nothing; None until it is loaded."""
        return next((entry.model for entry in self.entries.values()), None)

    @property
    def loaded(self) -> list[ServedModel]:
        """Those that answer at once, the default first."""
        return [entry.model for entry in self.entries.values() if entry.model is not None]

    @property
    def offers(self) -> Offers:
        """What can be asked for.

        Raises:
            NotReady: nothing is loaded yet.
        """
        if not self.entries:
            raise NotReady("no bundle is loaded")
        default, *others = (entry.offer for entry in self.entries.values())
        return Offers(default, tuple(sorted(others, key=lambda offer: offer.name)))

    def check_served(self, options: Options) -> None:
        """Refuse what cannot be had, as far as it is known before a model is loaded.

        Raises:
            InvalidRequest: the language, the model, the decoding or a hot word is not served.
        """
        entry = self._entry(options)
        if entry.model is not None:
            entry.model.transcriber.check_served(options)
        check_offered("language", options.language, entry.offer.languages)

    @asynccontextmanager
    async def use(self, options: Options) -> AsyncIterator[ServedModel]:
        """The model that these options mean, loaded if need be, and kept until the end.

        Raises:
            InvalidRequest: the model or the language is not served.
            ModelUnavailable: its bundle cannot be loaded.
            Overloaded: as many are loaded as may be, and all of them are in use.
        """
        entry = self._entry(options)
        while (model := entry.model) is None:  # it may have been put away again meanwhile
            await self._load_for(entry)
        with model.used():
            entry.used_s = time.monotonic()
            yield model

    async def transcribe(
        self,
        source: Source,
        options: Options = Options(),  # noqa: B008  frozen
        *,
        deadline_s: float | None = None,
        lane: Lane | None = None,
        progress: Progress | None = None,
    ) -> Transcription:
        """Transcribe one file with the model that the options mean; see `Transcriber`."""
        async with self.use(options) as model:
            return await model.transcriber.transcribe(
                source, options, deadline_s=deadline_s, lane=lane, progress=progress
            )

    async def transcribe_patiently(self, source: Source, options: Options) -> Transcription:
        """As `transcribe`, again and again until there is room: for who brings many files.

        Args:
            source: a path, or bytes; it is read anew each time.
            options: what is asked for.
        """
        while True:
            try:
                return await self.transcribe(source, options)
            except Overloaded as error:
                await asyncio.sleep(error.retry_after_s)

    def put(self, folder: Path, entry: Entry) -> None:
        """Serve this from now on, in place of what was served from the folder."""
        if (old := self.entries.get(folder)) is None:
            self.entries[folder] = entry
        else:
            self._release(old)
            old.offer, old.state, old.written_s = entry.offer, entry.state, entry.written_s
            old.model = entry.model
        describe(self.loaded, self._metrics)

    def remove(self, folder: Path) -> None:
        """Serve it to nobody who comes from now on."""
        self._release(self.entries.pop(folder))
        describe(self.loaded, self._metrics)

    def has_room(self) -> bool:
        """Whether one more may be loaded."""
        return self._max_loaded is None or len(self.loaded) < self._max_loaded

    def close(self) -> None:
        """Wait for no load any more, and let all threads go."""
        for entry in self.entries.values():
            if entry.loading is not None:
                entry.loading.cancel()
        self.workforce.close()

    def _entry(self, options: Options) -> Entry:
        offer = self.offers.choose(options.model, options.language)
        return next(entry for entry in self.entries.values() if entry.offer == offer)

    async def _load_for(self, entry: Entry) -> None:
        """Wait until it is loaded; whoever leaves meanwhile lets the others have it."""
        if entry.loading is None:
            entry.loading = asyncio.create_task(self._load(entry))
            entry.loading.add_done_callback(lambda task: _loaded(entry, task))
        await asyncio.shield(entry.loading)

    async def _load(self, entry: Entry) -> None:
        async with self.changing:
            folder = next((path for path, one in self.entries.items() if one is entry), None)
            if folder is None:
                raise ModelUnavailable(f"model {entry.offer.name!r} is served no more")
            if entry.model is not None:
                return
            self._make_room()
            try:
                entry.model = await self.workforce.take(folder)
            except InvalidBundle as error:
                logger.error("%s cannot be loaded: %s", folder, error)
                self._metrics.bundle_loads.labels("failed").inc()
                raise ModelUnavailable(
                    f"model {entry.offer.name!r} cannot be loaded now; the log says why"
                ) from error
            self._metrics.bundle_loads.labels("loaded").inc()
            describe(self.loaded, self._metrics)

    def _make_room(self) -> None:
        """Put away whichever was not used for longest, if there are as many as may be."""
        if self.has_room():
            return
        _, *others = self.entries.values()
        idle = [one for one in others if one.model is not None and not one.model.users]
        if not idle:
            found = len(self.loaded)
            self._metrics.rejected.labels(Rejection.MODELS_IN_USE).inc()
            raise Overloaded(
                f"{found} models are loaded and in use, the limit is {found}",
                retry_after_s=RETRY_AFTER_S,
                found=found,
                limit=found,
            )
        oldest = min(idle, key=lambda one: one.used_s)
        logger.info("model %s is put away", oldest.offer.name)
        self._release(oldest)

    def _release(self, entry: Entry) -> None:
        """Give its model to nobody any more; the last who uses it ends it."""
        if entry.model is not None:
            self.workforce.let_go(entry.model)
            entry.model = None


def _loaded(entry: Entry, task: asyncio.Task[None]) -> None:
    """The load is over; what went wrong was told to those who waited, if anybody still did."""
    entry.loading = None
    if not task.cancelled():
        task.exception()
