"""WavLM's attention, whose scores get a bias by distance that each query gates for itself.

transformers' own computes the bias in the first layer, repeats it for every row of a batch, and
calls a function of torch that deprecates its masks. Source: Chen et al. 2021 (arXiv 2110.13900).

Shapes: B batch, H heads, T frames, D width.
"""

from typing import Any

import torch
from torch import Tensor, nn

from model_export.encoders.biased_attention import biased_attention

Part = Any  # of transformers, which is not typed


class RelativePositionBias(nn.Module):
    """The bias by distance between query and key.

    transformers holds the embedding in the first layer's attention. It is taken out of there, so
    that it stays when that attention is replaced, and stays frozen, since all layers share it.

    Args:
        attention: transformers', of the first layer.
    """

    buckets: Tensor

    def __init__(self, attention: Part) -> None:
        super().__init__()
        self.embedding = attention.rel_attn_embed
        self.farthest = attention.max_distance
        distances = torch.arange(-self.farthest, self.farthest + 1)
        # A table, since a logarithm at the edge of a bucket may fall to either side elsewhere.
        buckets = attention._relative_positions_bucket(distances)
        self.register_buffer("buckets", buckets, persistent=False)

    def forward(self, hidden: Tensor) -> Tensor:
        """Compute the bias `[H, T, T]` for hidden frames `[B, T, D]`."""
        steps = torch.arange(hidden.shape[1], device=hidden.device)
        distances = (steps - steps.unsqueeze(1)).clamp(min=-self.farthest, max=self.farthest)
        bias: Tensor = self.embedding(self.buckets[distances + self.farthest])
        return bias.permute(2, 0, 1)


class GatedBiasAttention(nn.Module):
    """Self-attention with a gated bias.

    Args:
        attention: transformers'; its parts are shared, under their names.
    """

    def __init__(self, attention: Part) -> None:
        super().__init__()
        self.heads = attention.num_heads
        self.scaling = attention.scaling
        self.dropout = attention.dropout
        self.q_proj = attention.q_proj
        self.k_proj = attention.k_proj
        self.v_proj = attention.v_proj
        self.out_proj = attention.out_proj
        self.gru_rel_pos_linear = attention.gru_rel_pos_linear
        self.gru_rel_pos_const = attention.gru_rel_pos_const

    def forward(
        self, hidden_states: Tensor, attention_mask: Tensor, position_bias: Tensor, **_: object
    ) -> tuple[Tensor, None, Tensor]:
        """Attend.

        Args:
            hidden_states: `[B, T, D]`.
            attention_mask: `[B, 1, 1, T]`, True on valid frames.
            position_bias: `[H, T, T]`.

        Returns:
            mixed frames `[B, T, D]`, no weights, and the bias, as transformers' layers expect.
        """
        mixed = biased_attention(
            self,
            self._by_head(self.q_proj(hidden_states)),
            self._by_head(self.k_proj(hidden_states)),
            self._by_head(self.v_proj(hidden_states)),
            attention_mask,
            scaling=self.scaling,
            position_bias=self._gate(hidden_states) * position_bias,
            dropout=self.dropout,
        )[0]
        return self.out_proj(mixed.flatten(2)), None, position_bias

    def _gate(self, hidden: Tensor) -> Tensor:
        """How much of the bias each query takes, `[B, H, T, 1]`."""
        projected = self.gru_rel_pos_linear(self._by_head(hidden))
        update, reset = projected.unflatten(3, (2, -1)).sum(dim=4).sigmoid().split(1, dim=3)
        gate: Tensor = update * (reset * self.gru_rel_pos_const - 1.0) + 2.0
        return gate

    def _by_head(self, frames: Tensor) -> Tensor:
        """Split frames `[B, T, D]` into `[B, H, T, D / H]`."""
        by_head: Tensor = frames.unflatten(2, (self.heads, -1))
        return by_head.transpose(1, 2)


def take_over_attention(encoder: Part) -> RelativePositionBias:
    """Put our attention in place of transformers' in every layer, and hand out the bias."""
    layers = encoder.encoder.layers
    bias = RelativePositionBias(layers[0].attention)
    for layer in layers:
        layer.attention = GatedBiasAttention(layer.attention)
    return bias
