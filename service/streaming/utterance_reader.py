"""Logits of one utterance to words, in a thread, in the way that the stream asked for."""

import time
from dataclasses import dataclass

import numpy as np

from service.arrays import FloatArray
from service.beam_search import GrowingWords
from service.bundle import Manifest, Vocabulary
from service.ctc import Word
from service.lone_sounds import without_weak_sounds
from service.metrics import Metrics
from service.options import Options
from service.passes import InThread
from service.reading import Reader


@dataclass(frozen=True)
class Hop:
    """How frames of logits lie in the audio."""

    samples: int
    rate_hz: int

    @property
    def seconds(self) -> float:
        """From one frame to the next."""
        return self.samples / self.rate_hz


class UtteranceReader:
    """Reads what one stream says.

    Args:
        manifest: of the bundle.
        reader: of the same bundle.
        options: of the stream; `Reader.check` has passed them.
        metrics: fed with the time that it takes.
        in_thread: where it is done.
    """

    def __init__(
        self,
        manifest: Manifest,
        reader: Reader,
        options: Options,
        metrics: Metrics,
        in_thread: InThread,
    ) -> None:
        self.vocabulary: Vocabulary = manifest.vocabulary
        self.hop = Hop(manifest.samples_per_frame, manifest.sample_rate_hz)
        self._reader = reader
        self._options = options
        self._metrics = metrics
        self._in_thread = in_thread

    def begin(self) -> GrowingWords | None:
        """What reads an utterance while it is being said; None where it is read greedily."""
        return self._reader.growing(self._options)

    async def more_words(self, growing: GrowingWords, logits: FloatArray) -> tuple[Word, ...]:
        """Let `begin`'s read on; see `GrowingWords.add`."""
        return await self._in_thread(growing.add, logits)

    async def words(
        self, logits: FloatArray, power: FloatArray, first: int = 0, *, in_haste: bool = False
    ) -> list[Word]:
        """Words of an utterance, or of a part of it.

        Args:
            logits: `[frames, columns]`.
            power: mean power of the sound in each frame, `[frames]`.
            first: frame from which on words are read; what lies before only surrounds them.
            in_haste: whether the words are shown for a moment only, so that a first pass will do.

        Returns:
            Words with times in seconds from that frame.
        """
        options = self._reader.hasty(self._options) if in_haste else self._options
        return await self._in_thread(self._words, logits, power, first, options)

    def _words(
        self, logits: FloatArray, power: FloatArray, first: int, options: Options
    ) -> list[Word]:
        started_s = time.monotonic()
        heard = without_weak_sounds(logits, power, self.vocabulary, self.hop.seconds)[first:]
        duration_s = len(heard) * self.hop.seconds
        stretches = self._reader.read(np.ascontiguousarray(heard), duration_s, options)
        words = [word for stretch in stretches for word in stretch]
        self._metrics.ctc_decode_duration.observe(time.monotonic() - started_s)
        return words
