"""w2v-BERT 2.0's encoder below its layers, from waveforms and with lengths instead of masks.

The layers above are conformers, the last of which ends in a norm of its own. An adapter, which
some fine-tuned models have above them, and its feed-forward block are left out: they shorten the
frames of a trained head that is replaced here anyway.
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from transformers import Wav2Vec2BertModel

from model_export.encoders.ctc_model import FrontEndFacts
from model_export.errors import BaseUnavailable
from model_export.front_ends.filter_banks import FilterBanks
from model_export.front_ends.spectrum import HOP_SAMPLES, WINDOW_SAMPLES
from service.arrays import SAMPLE_RATE_HZ

STACKED = 2  # mel frames of one frame
CONVENTION = (
    "waveform in [-1, 1]; Kaldi log filter banks, each band with zero mean and unit variance over "
    "the valid frames, inside the graph"
)
SUPPORTED: dict[str, Any] = {
    "feature_extractor_type": "SeamlessM4TFeatureExtractor",
    "sampling_rate": SAMPLE_RATE_HZ,
    "stride": STACKED,
    "padding_side": "right",
}
USUAL_MEL_BANDS = 80


class W2vBertStem(nn.Module):
    """Filter banks, two frames of them stacked into one, and projection.

    A last frame without a partner is dropped, as transformers masks it; it does count for the
    normalisation.

    Args:
        encoder: transformers' model; its projection is shared.
        preprocessor: settings of the base's feature extractor; what it lacks is as in
            transformers' feature extractor.

    Raises:
        BaseUnavailable: the features that the base wants are others.
    """

    def __init__(self, encoder: Wav2Vec2BertModel, preprocessor: Mapping[str, Any]) -> None:
        super().__init__()
        projection: Any = encoder.feature_projection
        inputs = projection.projection.in_features
        self.filter_banks = FilterBanks(_mel_bands(preprocessor, inputs))
        self.feature_projection = projection

    @property
    def front_end(self) -> FrontEndFacts:
        """Facts for the bundle."""
        return FrontEndFacts(
            samples_per_frame=STACKED * HOP_SAMPLES,
            receptive_field_samples=WINDOW_SAMPLES + (STACKED - 1) * HOP_SAMPLES,
            longest_pass_s=None,
            convention=CONVENTION,
            looks_far_ahead="filter banks are normalised over the utterance",
        )

    def forward(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Embed waveforms.

        Args:
            waveforms: `[batch, samples]`, 16 kHz in [-1, 1].
            lengths: `[batch]`, valid samples, at least 560.

        Returns:
            hidden `[batch, frames, width]` and frame lengths `[batch]`, 50 per second.
        """
        features, mel_lengths = self.filter_banks(waveforms, lengths)
        frames = features.shape[1] // STACKED
        stacked = features[:, : frames * STACKED].reshape(features.shape[0], frames, -1)
        hidden, _ = self.feature_projection(stacked)
        return hidden, mel_lengths // STACKED


def _mel_bands(preprocessor: Mapping[str, Any], inputs: int) -> int:
    """Number of bands that the base wants, once it is clear that it wants nothing unusual."""
    for setting, supported in SUPPORTED.items():
        if (found := preprocessor.get(setting, supported)) != supported:
            raise BaseUnavailable(
                f"{setting} of the preprocessor is {found!r}; supported is {supported!r}"
            )
    bands = int(preprocessor.get("num_mel_bins", USUAL_MEL_BANDS))
    if bands * STACKED != inputs:
        raise BaseUnavailable(
            f"num_mel_bins of the preprocessor is {bands}; the model's projection takes "
            f"{inputs} features, {STACKED} frames of {inputs // STACKED}"
        )
    return bands
