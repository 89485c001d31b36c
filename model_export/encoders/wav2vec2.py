"""wav2vec2's encoder below its layers, and that of its relatives, with lengths instead of masks."""

from typing import Any

from torch import Tensor, nn

from model_export.encoders.ctc_model import FrontEndFacts
from model_export.front_ends.convolutional_positions import ConvolutionalPositions
from model_export.front_ends.convolutions import ConvolutionalFeatures
from model_export.front_ends.log_mel import valid_frames
from model_export.front_ends.standardisation import standardise

NORMALISED = "zero mean and unit variance over the valid samples, inside the graph"
PLAIN = "waveform in [-1, 1], not normalised"


class Wav2Vec2Stem(nn.Module):
    """Convolutional features, projection and, in all but conformers, convolutional positions.

    Args:
        encoder: transformers' model, of this family or one derived from it; its parts are shared.
        normalise_waveform: give each utterance zero mean and unit variance first.
        positions: transformers' convolutional positions, if it adds any.
        input_norm: applied last.
    """

    def __init__(
        self,
        encoder: Any,  # noqa: ANN401  transformers is not typed
        *,
        normalise_waveform: bool,
        positions: nn.Module | None,
        input_norm: nn.Module,
    ) -> None:
        super().__init__()
        self.normalise_waveform = normalise_waveform
        self.features = ConvolutionalFeatures(encoder.feature_extractor.conv_layers)
        self.feature_projection = encoder.feature_projection
        self.positions = None if positions is None else ConvolutionalPositions(positions)
        self.input_norm = input_norm

    @property
    def front_end(self) -> FrontEndFacts:
        """Facts for the bundle."""
        return FrontEndFacts(
            samples_per_frame=self.features.samples_per_frame,
            receptive_field_samples=self.features.receptive_field_samples,
            longest_pass_s=None,
            convention=NORMALISED if self.normalise_waveform else PLAIN,
            looks_far_ahead=self._far_looks(),
        )

    def _far_looks(self) -> str:
        found = ["the waveform is normalised over the utterance"] if self.normalise_waveform else []
        if self.features.window_products is not None:
            found.append("a group norm spans the utterance")
        if self.positions is not None:
            found.append("convolutional positions look 1.3 s ahead")
        return ", ".join(found) or "features or convolutions of its layers do"

    def forward(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Embed waveforms.

        Args:
            waveforms: `[batch, samples]`, 16 kHz in [-1, 1].
            lengths: `[batch]`, valid samples, at least the receptive field.

        Returns:
            hidden `[batch, frames, width]` and frame lengths `[batch]`.
        """
        if self.normalise_waveform:
            waveforms = standardise(waveforms, lengths)
        features, frame_lengths = self.features(waveforms, lengths)
        projected = self.feature_projection(features)
        # HuBERT gives its projection alone, the others the normalised features too.
        hidden = projected[0] if isinstance(projected, tuple) else projected
        valid_mask = valid_frames(frame_lengths, hidden.shape[1])
        hidden = hidden.masked_fill(~valid_mask.unsqueeze(-1), 0.0)
        if self.positions is not None:
            hidden = hidden + self.positions(hidden, valid_mask)
        return self.input_norm(hidden), frame_lengths
