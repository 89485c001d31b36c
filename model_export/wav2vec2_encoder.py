"""wav2vec2's encoder below its layers, with lengths instead of masks."""

import math

import torch
from torch import Tensor, nn
from transformers import Wav2Vec2Model

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
        self.kernels = list(encoder.config.conv_kernel)
        self.strides = list(encoder.config.conv_stride)
        self.conv_layers = encoder.feature_extractor.conv_layers
        self.feature_projection = encoder.feature_projection
        self.positions = encoder.encoder.pos_conv_embed
        # The post-norm variant normalises before its layers, the stable one after them.
        stable = encoder.config.do_stable_layer_norm
        self.input_norm = nn.Identity() if stable else encoder.encoder.layer_norm

    @property
    def samples_per_frame(self) -> int:
        """Hop of the frames, in samples."""
        return math.prod(self.strides)

    @property
    def receptive_field_samples(self) -> int:
        """Samples that one frame sees."""
        span = 1
        for kernel, stride in zip(reversed(self.kernels), reversed(self.strides), strict=True):
            span = (span - 1) * stride + kernel
        return span

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
        hidden = waveforms.unsqueeze(1)
        frame_lengths = lengths
        for layer, kernel, stride in zip(self.conv_layers, self.kernels, self.strides, strict=True):
            frame_lengths = (frame_lengths - kernel) // stride + 1
            hidden = _convolve(layer, hidden, frame_lengths)
        projected, _ = self.feature_projection(hidden.transpose(1, 2))
        valid_mask = valid_frames(frame_lengths, projected.shape[1]).unsqueeze(-1)
        projected = projected.masked_fill(~valid_mask, 0.0)
        return self.input_norm(projected + self.positions(projected)), frame_lengths


def normalise_waveforms(waveforms: Tensor, lengths: Tensor) -> Tensor:
    """Zero mean and unit variance over the valid samples of each row, zero beyond; float32."""
    return _standardise(waveforms.unsqueeze(1), lengths, VARIANCE_FLOOR).squeeze(1)


def _convolve(layer: nn.Module, hidden: Tensor, frame_lengths: Tensor) -> Tensor:
    """Apply a convolutional layer; a norm over time counts valid frames only.

    The public implementation lets padding into the group norm of wav2vec2-base and its like.
    """
    norm = getattr(layer, "layer_norm", None)
    if not isinstance(norm, nn.GroupNorm):
        convolved: Tensor = layer(hidden)
        return convolved
    standardised = _standardise(layer.get_submodule("conv")(hidden), frame_lengths, norm.eps)
    scaled = standardised * norm.weight.unsqueeze(1) + norm.bias.unsqueeze(1)
    activated: Tensor = layer.get_submodule("activation")(scaled.to(hidden.dtype))
    return activated


def _standardise(values: Tensor, lengths: Tensor, variance_floor: float) -> Tensor:
    """Zero mean and unit variance over the valid part of each channel, zero beyond.

    Args:
        values: `[batch, channels, time]`.
        lengths: `[batch]`, valid steps of each row.
        variance_floor: added to the variance.

    Returns:
        `[batch, channels, time]`, float32.
    """
    valid_mask = valid_frames(lengths, values.shape[2]).unsqueeze(1)
    counts = lengths.view(-1, 1, 1).float()
    kept = values.float().masked_fill(~valid_mask, 0.0)
    mean = kept.sum(dim=2, keepdim=True) / counts
    centred = (kept - mean).masked_fill(~valid_mask, 0.0)
    variance = centred.square().sum(dim=2, keepdim=True) / counts
    return centred * torch.rsqrt(variance + variance_floor)
