"""wav2vec2's stack of convolutions over audio of any length, in the memory of one piece.

A frame sees a bounded stretch of audio, so overlapping pieces give the very frames of the whole.
Without them the first layer alone would make 23 GB of an hour.

Shapes: B batch, S samples, T frames, C channels.
"""

import math

import torch
from torch import Tensor, nn

from model_export.log_mel import valid_frames
from model_export.piecewise import Piecewise, cut, join

PIECE_SAMPLES = 160_000  # the first layer makes 400 bytes of each, more than once


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
        convolutions = [layer.get_submodule("conv") for layer in layers]
        strides = [int(conv.stride[0]) for conv in convolutions]
        kernels = [int(conv.kernel_size[0]) for conv in convolutions]
        hops = [math.prod(strides[:index]) for index in range(len(strides))]
        reach = sum((kernel - 1) * hop for kernel, hop in zip(kernels, hops, strict=True))
        self.samples_per_frame = math.prod(strides)
        self.receptive_field_samples = 1 + reach
        self.piece_samples = PIECE_SAMPLES
        grouped = isinstance(getattr(layers[0], "layer_norm", None), nn.GroupNorm)
        self.stack = Piecewise(_Stack(layers, grouped=grouped))
        self.window_products = Piecewise(_WindowProducts(kernels[0], strides[0]))
        self.grouped = grouped

    def forward(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Compute features.

        Args:
            waveforms: `[B, S]`.
            lengths: `[B]`, valid samples.

        Returns:
            features `[B, T, C]` and frame lengths `[B]`.
        """
        hop, field = self.samples_per_frame, self.receptive_field_samples
        overlap = max(0, field - hop)
        unit = hop * max(1, math.ceil(overlap / hop))
        pieces = cut(waveforms, unit=unit, overlap=overlap, most_samples=self.piece_samples)
        inputs = [pieces]
        if self.grouped:
            moments = self._moments(pieces, lengths, overlap)
            inputs.append(moments.expand(pieces.shape[0], -1, -1, -1))
        frames = (waveforms.shape[1] - field) // hop + 1
        return join(self.stack(inputs), frames), (lengths - field) // hop + 1

    def _moments(self, pieces: Tensor, lengths: Tensor, overlap: int) -> Tensor:
        """Mean and scale `[B, 2, C]` of the first layer's group norm, over valid steps only.

        The public implementation lets padding into them. A convolution is linear, so the moments
        of its channels follow from those of the windows that it sees, at a fiftieth of the cost of
        computing the channels twice. In float64, where sums over an hour lose nothing.
        """
        conv, norm = self.stack.body.first.conv, self.stack.body.first.norm
        steps = (lengths - conv.kernel_size[0]) // conv.stride[0] + 1
        own_steps = (pieces.shape[2] - overlap) // conv.stride[0]
        starts = own_steps * torch.arange(pieces.shape[0], device=lengths.device)
        valid_steps = (steps - starts.unsqueeze(1)).clamp(min=0).clamp(max=own_steps)
        products = self.window_products([pieces, valid_steps]).sum(dim=0)

        bias = torch.zeros_like(norm.bias) if conv.bias is None else conv.bias
        weights = torch.cat([bias.unsqueeze(1), conv.weight.squeeze(1)], dim=1).double()
        means = products / steps.view(-1, 1, 1)
        mean = means[:, 0] @ weights.T
        variance = ((weights @ means) * weights).sum(dim=2) - mean.square()
        scale = norm.weight * torch.rsqrt(variance.clamp(min=0.0) + norm.eps)
        return torch.stack([mean, scale], dim=1).float()


class _Stack(nn.Module):
    """All layers, on one piece: `[piece]`, or `[piece, moments]` under a group norm."""

    def __init__(self, layers: nn.ModuleList, *, grouped: bool) -> None:
        super().__init__()
        self.first = _GroupNormLayer(layers[0]) if grouped else _Layer(layers[0])
        self.rest = nn.Sequential(*layers[1:])

    def forward(self, inputs: list[Tensor]) -> Tensor:
        hidden: Tensor = self.rest(self.first(inputs))
        return hidden.transpose(1, 2)


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
        self.norm = layer.get_submodule("layer_norm")
        self.activation = layer.get_submodule("activation")

    def forward(self, inputs: list[Tensor]) -> Tensor:
        hidden: Tensor = self.conv(inputs[0].unsqueeze(1))
        moments = inputs[1].unsqueeze(3)
        normalised = (hidden.float() - moments[:, 0]) * moments[:, 1]
        shifted = normalised + self.norm.bias.unsqueeze(1)
        activated: Tensor = self.activation(shifted.to(hidden.dtype))
        return activated


class _WindowProducts(nn.Module):
    """Sums, over the windows of a piece, of the products of what a window holds.

    A window holds a one and then its samples, so the sums are the count of windows, the sums of
    each sample and the sums of the products of each two.
    """

    def __init__(self, width: int, stride: int) -> None:
        super().__init__()
        self.width = width
        self.stride = stride

    def forward(self, inputs: list[Tensor]) -> Tensor:
        windows = inputs[0].unfold(1, self.width, self.stride)
        held = torch.cat([torch.ones_like(windows[:, :, :1]), windows], dim=2).double()
        valid_mask = valid_frames(inputs[1], held.shape[1]).unsqueeze(2)
        held = held.masked_fill(~valid_mask, 0.0)
        return held.transpose(1, 2) @ held
