"""wav2vec2's stack of convolutions over audio of any length, in the memory of one piece.

A frame sees a bounded stretch of audio, so overlapping pieces give the very frames of the whole.
Without them the first layer alone would make 23 GB of an hour.

Shapes: B batch, S samples, T frames, C channels.
"""

import math
from operator import attrgetter
from typing import Any

import torch
from torch import Tensor, nn

from model_export.front_ends.log_mel import valid_frames
from model_export.front_ends.piecewise import Piecewise, cut, join

PIECE_SAMPLES = 80_000  # of which the first layer makes 33 MB; larger ones miss the caches of CPUs


class ConvolutionalFeatures(nn.Module):
    """The stack, piece by piece.

    Args:
        layers: transformers' convolutional layers; the first may have a group norm over time.

    Attributes:
        samples_per_frame: hop of the frames.
        receptive_field_samples: samples that one frame sees.
        piece_samples: how much of a batch is in work at a time.
    """

    def __init__(self, layers: nn.ModuleList) -> None:
        super().__init__()
        self.samples_per_frame, self.receptive_field_samples = _geometry(layers)
        self.overlap_samples = max(0, self.receptive_field_samples - self.samples_per_frame)
        self.piece_samples = PIECE_SAMPLES
        self.stack = Piecewise(_Stack(layers))
        self.window_products: Piecewise | None = None
        if _has_group_norm(layers[0]):
            products = _WindowProducts(_part(layers[0], "conv"))
            self.window_products = Piecewise(products, dtype=torch.float64)

    def forward(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Compute features.

        Args:
            waveforms: `[B, S]`.
            lengths: `[B]`, valid samples.

        Returns:
            features `[B, T, C]` and frame lengths `[B]`.
        """
        hop, field = self.samples_per_frame, self.receptive_field_samples
        pieces = cut(
            waveforms,
            unit=hop * max(1, math.ceil(self.overlap_samples / hop)),
            overlap=self.overlap_samples,
            most_samples=self.piece_samples,
        )
        inputs = [pieces]
        if self.window_products is not None:
            products = self.window_products([pieces, self._own_windows(pieces, lengths)])
            moments = self._moments(products.sum(dim=0))
            inputs.append(moments.expand(pieces.shape[0], -1, -1, -1))
        frames = (waveforms.shape[1] - field) // hop + 1
        return join(self.stack(inputs), frames), (lengths - field) // hop + 1

    def _own_windows(self, pieces: Tensor, lengths: Tensor) -> Tensor:
        """Valid windows `[pieces, B]` of the first layer that begin before a piece's overlap."""
        conv = _part(self.stack, "body.first.conv")
        windows = (lengths - conv.kernel_size[0]) // conv.stride[0] + 1
        own = (pieces.shape[2] - self.overlap_samples) // conv.stride[0]
        starts = own * torch.arange(pieces.shape[0], device=lengths.device)
        left: Tensor = windows - starts.unsqueeze(1)
        return left.clamp(min=0).clamp(max=own)

    def _moments(self, products: Tensor) -> Tensor:
        """Mean and scale `[B, 2, C]` of the first layer's group norm, over valid frames only.

        The public implementation lets padding into them. A convolution is linear, so the moments
        of its channels follow from the mean products `[B, 1 + kernel, 1 + kernel]` of what it sees,
        at a fiftieth of the cost of computing the channels twice. In float64, where sums over an
        hour lose nothing.
        """
        first = _part(self.stack, "body.first")
        conv, norm = first.conv, first.layer_norm
        bias = torch.zeros_like(norm.bias) if conv.bias is None else conv.bias
        weights = torch.cat([bias.unsqueeze(1), conv.weight.squeeze(1)], dim=1).double()
        products = products / products[:, :1, :1]
        mean = products[:, 0] @ weights.T
        variance = ((weights @ products) * weights).sum(dim=2) - mean.square()
        scale = norm.weight * torch.rsqrt(variance.clamp(min=0.0) + norm.eps)
        return torch.stack([mean, scale], dim=1).float()


def _geometry(layers: nn.ModuleList) -> tuple[int, int]:
    """Hop and receptive field, in samples."""
    hop, field = 1, 1
    for conv in (_part(layer, "conv") for layer in layers):
        field += (conv.kernel_size[0] - 1) * hop
        hop *= conv.stride[0]
    return hop, field


def _part(module: nn.Module, path: str) -> Any:  # noqa: ANN401  scripted parts have another class
    return attrgetter(path)(module)


def _has_group_norm(layer: nn.Module) -> bool:
    return isinstance(getattr(layer, "layer_norm", None), nn.GroupNorm)


class _Stack(nn.Module):
    """All layers, on one piece: `[piece]`, or `[piece, moments]` under a group norm."""

    def __init__(self, layers: nn.ModuleList) -> None:
        super().__init__()
        self.hop, self.field = _geometry(layers)
        self.channels = _part(layers[-1], "conv").out_channels
        grouped = _has_group_norm(layers[0])
        self.first = _GroupNormLayer(layers[0]) if grouped else _Layer(layers[0])
        self.rest = nn.Sequential(*layers[1:])

    def forward(self, inputs: list[Tensor]) -> Tensor:
        hidden: Tensor = self.rest(self.first(inputs))
        return hidden.transpose(1, 2)

    def shape_of(self, inputs: list[Tensor]) -> list[int]:
        """Shape of the output."""
        batch, samples = inputs[0].shape
        return [batch, (samples - self.field) // self.hop + 1, self.channels]


class _Layer(nn.Module):
    """A first layer that needs nothing but its piece."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, inputs: list[Tensor]) -> Tensor:
        hidden: Tensor = self.layer(inputs[0].unsqueeze(1))
        return hidden


class _GroupNormLayer(nn.Module):
    """A first layer whose norm spans the whole utterance."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.conv = layer.get_submodule("conv")
        self.layer_norm = _part(layer, "layer_norm")
        self.activation = layer.get_submodule("activation")

    def forward(self, inputs: list[Tensor]) -> Tensor:
        hidden: Tensor = self.conv(inputs[0].unsqueeze(1))
        moments = inputs[1].unsqueeze(3)
        normalised = (hidden.float() - moments[:, 0]) * moments[:, 1]
        shifted = normalised + self.layer_norm.bias.unsqueeze(1)
        activated: Tensor = self.activation(shifted.to(hidden.dtype))
        return activated


class _WindowProducts(nn.Module):
    """Sums, over the windows of a piece, of the products of what a window holds.

    A window holds a one and then its samples, so the sums are the count of windows, the sums of
    each sample and the sums of the products of each two.
    """

    def __init__(self, conv: nn.Conv1d) -> None:
        super().__init__()
        self.width = conv.kernel_size[0]
        self.stride = conv.stride[0]

    def forward(self, inputs: list[Tensor]) -> Tensor:
        windows = inputs[0].unfold(1, self.width, self.stride)
        held = torch.cat([torch.ones_like(windows[:, :, :1]), windows], dim=2).double()
        valid_mask = valid_frames(inputs[1], held.shape[1]).unsqueeze(2)
        held = held.masked_fill(~valid_mask, 0.0)
        return held.transpose(1, 2) @ held

    def shape_of(self, inputs: list[Tensor]) -> list[int]:
        """Shape of the output."""
        return [inputs[0].shape[0], self.width + 1, self.width + 1]
