"""What a run learns from: waveforms, or the frames of its frozen part."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from model_export.data import Clip
from model_export.encoders.ctc_model import CtcModel
from model_export.training.feature_cache import CacheRequest, cached_examples
from model_export.training.precision import Precision
from model_export.training.ranks import this_process
from model_export.training.training_data import Examples, WaveformExamples
from service.audio import SAMPLE_RATE_HZ


@dataclass(frozen=True)
class ExampleSource:
    """Makes examples of clips.

    Attributes:
        model: whose frames they are.
        frames_digest: of the weights below `first_layer`.
        first_layer: where the frozen part ends.
        precision: of the arithmetic below it.
        cache_dir: keep frames here; None gives waveforms.
    """

    model: CtcModel
    frames_digest: str
    first_layer: int
    precision: Precision
    cache_dir: Path | None

    @property
    def unit_hz(self) -> float:
        """Samples or frames of an example in a second of audio."""
        per_unit = 1 if self.cache_dir is None else self.model.front_end.samples_per_frame
        return SAMPLE_RATE_HZ / per_unit

    def examples(
        self, clips: Sequence[Clip], labels: Sequence[Sequence[int]], copies: int
    ) -> Examples:
        """Clips with their label ids, each so many times, all but one augmented.

        Raises:
            TrainingRefused: the disk has no room for the cache.
        """
        if self.cache_dir is None:
            return WaveformExamples(clips, labels, copies, self.model.front_end.longest_pass_s)
        request = CacheRequest(
            clips=clips,
            labels=labels,
            copies=copies,
            base_digest=self.frames_digest,
            first_layer=self.first_layer,
            precision=self.precision,
        )
        with this_process().main_process_first():
            return cached_examples(self.cache_dir, request, self.model)
