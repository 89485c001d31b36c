"""Convolutions over frames that tell positions, each of which sees zeros in place of padding."""

from typing import Any

from torch import Tensor, nn


class ConvolutionalPositions(nn.Module):
    """wav2vec2's one convolution, HuBERT's after a batch norm, or data2vec's stack of them.

    A lone utterance has zeros past its edges before each convolution. In a batch there stands what
    the batch norm or the layer below made of the padding, unless it is zeroed again.

    Args:
        embedding: transformers' positional embedding; its parts are shared.
    """

    def __init__(self, embedding: Any) -> None:  # noqa: ANN401  each family has its own
        super().__init__()
        self.batch_norm = getattr(embedding, "batch_norm", None) or nn.Identity()
        self.layers = getattr(embedding, "layers", None) or nn.ModuleList(
            [nn.Sequential(embedding.conv, embedding.padding, embedding.activation)]
        )

    def forward(self, hidden: Tensor, valid_mask: Tensor) -> Tensor:
        """Compute positions.

        Args:
            hidden: `[batch, frames, width]`.
            valid_mask: `[batch, frames]`, True on valid frames.

        Returns:
            `[batch, frames, width]`, to be added to `hidden`.
        """
        padding_mask = ~valid_mask.unsqueeze(1)
        positions: Tensor = self.batch_norm(hidden.transpose(1, 2))
        for layer in self.layers:
            positions = layer(positions.masked_fill(padding_mask, 0.0))
        return positions.transpose(1, 2)
