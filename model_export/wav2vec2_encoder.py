"""wav2vec2's encoder below its layers, with lengths instead of masks."""

import torch
from torch import Tensor, nn
from transformers import Wav2Vec2Model

from model_export.convolutions import ConvolutionalFeatures
from model_export.log_mel import valid_frames

NORMALISED = "zero mean and unit variance over the valid samples, inside the graph"
PLAIN = "waveform in [-1, 1], not normalised"
VARIANCE_FLOOR = 1e-7


class Wav2Vec2Stem(nn.Module):
    """Convolutional features, projection and convolutional positions.

    Args:
        encoder: transformers' model; its parts are shared.
        normalise_waveform: give each utterance zero mean and unit variance first.
    """

    def __init__(self, encoder: Wav2Vec2Model, *, normalise_waveform: bool) -> None:
        super().__init__()
        self.normalise_waveform = normalise_waveform
        self.features = ConvolutionalFeatures(encoder.feature_extractor.conv_layers)
        self.feature_projection = encoder.feature_projection
        self.positions = encoder.encoder.pos_conv_embed
        # The post-norm variant normalises before its layers, the stable one after them.
        stable = encoder.config.do_stable_layer_norm
        self.input_norm = nn.Identity() if stable else encoder.encoder.layer_norm

    @property
    def convention(self) -> str:
        """How waveforms are prepared."""
        return NORMALISED if self.normalise_waveform else PLAIN

    def forward(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Embed waveforms.

        Args:
            waveforms: `[batch, samples]`, 16 kHz in [-1, 1].
            lengths: `[batch]`, valid samples, at least the receptive field.

        Returns:
            hidden `[batch, frames, width]` and frame lengths `[batch]`.
        """
        if self.normalise_waveform:
            waveforms = normalise_waveforms(waveforms, lengths)
        features, frame_lengths = self.features(waveforms, lengths)
        projected, _ = self.feature_projection(features)
        valid_mask = valid_frames(frame_lengths, projected.shape[1]).unsqueeze(-1)
        projected = projected.masked_fill(~valid_mask, 0.0)
        return self.input_norm(projected + self.positions(projected)), frame_lengths


def normalise_waveforms(waveforms: Tensor, lengths: Tensor) -> Tensor:
    """Zero mean and unit variance over the valid samples of each row, zero beyond; float32.

    Sums are in float64: ONNX Runtime adds one value after the other, and after 58 million, an hour,
    a float32 sum no longer grows.
    """
    valid_mask = valid_frames(lengths, waveforms.shape[1])
    counts = lengths.unsqueeze(1)
    kept = waveforms.float().masked_fill(~valid_mask, 0.0)
    mean = (kept.sum(dim=1, keepdim=True, dtype=torch.float64) / counts).float()
    centred = (kept - mean).masked_fill(~valid_mask, 0.0)
    variance = centred.square().sum(dim=1, keepdim=True, dtype=torch.float64) / counts
    return centred * torch.rsqrt(variance + VARIANCE_FLOOR).float()
