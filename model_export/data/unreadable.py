"""Clips that could be read when they were checked, and no longer can."""

import logging

from model_export.data import Clip
from model_export.data.recordings import load_waveform
from model_export.errors import ManifestInvalid
from service.arrays import FloatArray

LOG = logging.getLogger(__name__)


class ClipReader:
    """Reads clips; one that has become unreadable is told, counted and left out, not fatal.

    Attributes:
        unreadable: the clips that could not be read.
    """

    def __init__(self) -> None:
        self.unreadable: set[Clip] = set()

    def __call__(self, clip: Clip) -> FloatArray | None:
        """Waveform `[samples]` of a clip; None if it cannot be read."""
        try:
            return load_waveform(clip.audio)
        except ManifestInvalid as error:
            if clip not in self.unreadable:
                self.unreadable.add(clip)
                LOG.warning("left out, %d so far: %s", len(self.unreadable), error)
            return None
