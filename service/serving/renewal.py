"""Bundles that come, change and go while the service runs.

What is new is loaded beside the old, and taken in its place only if it passes all tests of a
start. So whoever replaces a folder need not be quick, and a broken bundle changes nothing.
"""

import asyncio
import logging
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from service.bundle import MANIFEST_FILE, read_manifest
from service.config import Settings
from service.errors import InvalidBundle
from service.metrics import Metrics
from service.offers import Offer
from service.serving.models import Entry, Models
from service.serving.shelf import Shelf, State

logger = logging.getLogger(__name__)


class Outcome(StrEnum):
    """What became of a folder."""

    LOADED = "loaded"
    LISTED = "listed"
    FAILED = "failed"
    REMOVED = "removed"


class Change(NamedTuple):
    """One folder that was new, another, or gone.

    Attributes:
        folder: its name.
        outcome: what became of it.
        model: name of what is served from it; None if nothing is.
        message: what is wrong with it.
    """

    folder: str
    outcome: Outcome
    model: str | None = None
    message: str | None = None


class Renewal:
    """Takes what lies in the folders.

    Args:
        models: where bundles are put and removed.
        settings: where they lie, and whether they are loaded at once.
        metrics: loads are counted here.
    """

    def __init__(self, models: Models, settings: Settings, metrics: Metrics) -> None:
        self._models = models
        self._settings = settings
        self._metrics = metrics
        self._shelf = Shelf(settings.bundle, settings.bundles_dir)
        self._seen: dict[Path, State] = {}
        self._refused: dict[Path, State] = {}
        for outcome in (Outcome.LOADED, Outcome.FAILED):
            metrics.bundle_loads.labels(outcome)

    async def start(self) -> None:
        """Load the default, then the others.

        Raises:
            InvalidBundle: the default cannot be served; the others are told in the log.
        """
        folder = self._settings.bundle
        async with self._models.changing:
            state = (await asyncio.to_thread(self._shelf.look)).get(folder, ())
            await self._take(folder, state)
        if self._settings.bundles_dir is not None:
            await self.look()

    async def look(self, *, only_settled: bool = False) -> list[Change]:
        """Look into all folders, and take what has changed.

        Args:
            only_settled: leave alone what was otherwise at the last look: somebody may be copying.
        """
        async with self._models.changing:
            found = await asyncio.to_thread(self._shelf.look)
            seen, self._seen = self._seen, found
            changes = []
            for folder, state in found.items():
                if only_settled and (
                    seen.get(folder) != state or self._refused.get(folder) == state
                ):
                    continue
                if self._is_new(folder, state):
                    changes.append(await self._try(folder, state))
            gone = [folder for folder in self._others() if folder not in found]
            for folder in gone:
                if not only_settled or folder not in seen:
                    changes.append(self._remove(folder))
        return changes

    async def watch(self, poll_s: float) -> None:
        """Look again and again."""
        while True:
            await asyncio.sleep(poll_s)
            try:
                await self.look(only_settled=True)
            except Exception:
                logger.exception("the folders of the bundles could not be looked into")

    def _is_new(self, folder: Path, state: State) -> bool:
        entry = self._models.entries.get(folder)
        return entry is None or entry.state != state

    def _others(self) -> list[Path]:
        return [folder for folder in self._models.entries if folder != self._settings.bundle]

    async def _try(self, folder: Path, state: State) -> Change:
        try:
            entry = await self._take(folder, state)
        except InvalidBundle as error:
            self._refused[folder] = state
            self._metrics.bundle_loads.labels(Outcome.FAILED).inc()
            logger.error("%s is not taken: %s", folder, error)
            return Change(folder.name, Outcome.FAILED, self._name(folder), error.message)
        self._refused.pop(folder, None)
        outcome = Outcome.LISTED if entry.model is None else Outcome.LOADED
        logger.info("%s is %s as %s", folder, outcome, entry.offer.name)
        return Change(folder.name, outcome, entry.offer.name)

    async def _take(self, folder: Path, state: State) -> Entry:
        """Serve what lies in a folder.

        Raises:
            InvalidBundle: it cannot be served, or another has its name.
        """
        manifest = await asyncio.to_thread(read_manifest, folder)
        self._check_name(folder, manifest.name)
        model = await self._models.workforce.take(folder) if self._is_wanted(folder) else None
        if model is not None:
            self._metrics.bundle_loads.labels(Outcome.LOADED).inc()
        offer = Offer(manifest.name, manifest.languages) if model is None else model.offer
        written_s = (folder / MANIFEST_FILE).stat().st_mtime
        entry = Entry(offer, state, written_s, model)
        self._models.put(folder, entry)
        return entry

    def _is_wanted(self, folder: Path) -> bool:
        """Whether to load it now."""
        entry = self._models.entries.get(folder)
        if folder == self._settings.bundle or (entry is not None and entry.model is not None):
            return True
        return self._settings.bundles_load == "start" and self._models.has_room()

    def _check_name(self, folder: Path, name: str) -> None:
        for other, entry in self._models.entries.items():
            if other != folder and entry.offer.name == name:
                raise InvalidBundle(f"the name {name!r} is taken by {other}", found=name)

    def _remove(self, folder: Path) -> Change:
        name = self._name(folder)
        logger.info("%s is gone; %s is served no more", folder, name)
        self._models.remove(folder)
        return Change(folder.name, Outcome.REMOVED)

    def _name(self, folder: Path) -> str | None:
        entry = self._models.entries.get(folder)
        return None if entry is None else entry.offer.name
