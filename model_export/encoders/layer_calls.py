"""How the encoder layers of each architecture are called, and what stands in for their attention.

transformers' layers differ in the mask they take, in what else their attention needs, and in what
they give back. Here each is a function of the same four arguments.

Shapes: B batch, T frames, D width.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

Part = Any  # of transformers, which is not typed
LayerCall = Callable[[Part, Tensor, Tensor, Tensor | None], Tensor]
"""(layer, hidden `[B, T, D]`, valid mask `[B, T]`, positions) to hidden `[B, T, D]`.

Positions are what the family's attention shares between layers; None where it shares nothing, or
where none is left.
"""


@dataclass(frozen=True)
class LayerKind:
    """What an encoder layer consists of, by the names of its attributes, and how it is called.

    Attributes:
        call: runs the layer.
        attention: self-attention, or what replaced it.
        attention_norm: the LayerNorm before (or after) it.
        feed_forward: the feed-forward parts with their norms; a conformer's convolution is none.
        feed_forward_ends: the linear maps that these parts end with.
        attention_outputs: values that the layer unpacks from its attention.
    """

    call: LayerCall
    attention: str
    attention_norm: str
    feed_forward: tuple[str, ...]
    feed_forward_ends: tuple[str, ...]
    attention_outputs: int = 2


class MixerInPlace(nn.Module):
    """Lets a mixing block stand where transformers calls self-attention.

    Args:
        mixer: a block called with (frames `[B, T, D]`, valid mask `[B, T]`).
        outputs: values that the layer around it unpacks.
    """

    def __init__(self, mixer: nn.Module, outputs: int = 2) -> None:
        super().__init__()
        self.mixer = mixer
        self.outputs = outputs

    def forward(
        self, hidden_states: Tensor, attention_mask: Tensor, **_: object
    ) -> tuple[Tensor | None, ...]:
        """Mix; there are no attention weights or positions to return.

        Args:
            hidden_states: `[B, T, D]`.
            attention_mask: `[B, T]` or `[B, 1, 1, T]`, True on valid frames.
        """
        mixed = self.mixer(hidden_states, attention_mask.flatten(1))
        return (mixed, *[None] * (self.outputs - 1))


def call_transformer(layer: Part, hidden: Tensor, valid_mask: Tensor, _: Tensor | None) -> Tensor:
    """Run a layer that is attention and one feed-forward part."""
    output: Tensor = layer(hidden, attention_mask=_over_queries(valid_mask))
    return output


def call_wavlm(layer: Part, hidden: Tensor, valid_mask: Tensor, positions: Tensor | None) -> Tensor:
    """Run a layer whose attention adds a position bias to its scores, and hands it on."""
    output: Tensor = layer(
        hidden, attention_mask=_over_queries(valid_mask), position_bias=positions
    )[0]
    return output


def call_causal_conformer(
    layer: Part, hidden: Tensor, valid_mask: Tensor, positions: Tensor | None
) -> Tensor:
    """Run a conformer layer that masks its convolution by itself."""
    output: Tensor = layer(
        hidden,
        attention_mask=_over_queries(valid_mask),
        relative_position_embeddings=positions,
        conv_attention_mask=valid_mask,
    )
    return output


def call_conformer(
    layer: Part, hidden: Tensor, valid_mask: Tensor, positions: Tensor | None
) -> Tensor:
    """Run a conformer layer part by part, since its own forward lets padding into the convolution.

    Gulati et al. 2020 (arXiv 2005.08100): half a feed-forward part, attention, convolution, half a
    feed-forward part, each around a residual.
    """
    hidden = hidden + 0.5 * layer.ffn1(layer.ffn1_layer_norm(hidden))
    mixed = layer.self_attn(
        layer.self_attn_layer_norm(hidden),
        attention_mask=_over_queries(valid_mask),
        relative_position_embeddings=positions,
    )[0]
    hidden = hidden + layer.self_attn_dropout(mixed)
    hidden = hidden + _masked_convolution(layer.conv_module, hidden, valid_mask)
    hidden = hidden + 0.5 * layer.ffn2(layer.ffn2_layer_norm(hidden))
    output: Tensor = layer.final_layer_norm(hidden)
    return output


def _masked_convolution(module: Part, hidden: Tensor, valid_mask: Tensor) -> Tensor:
    """Convolve valid frames; those of the padding are zero, as is what lies past the edges."""
    normalised = module.layer_norm(hidden).masked_fill(~valid_mask.unsqueeze(2), 0.0)
    gated = module.glu(module.pointwise_conv1(normalised.transpose(1, 2)))
    activated = module.activation(module.batch_norm(module.depthwise_conv(gated)))
    output: Tensor = module.dropout(module.pointwise_conv2(activated)).transpose(1, 2)
    return output


def _over_queries(valid_mask: Tensor) -> Tensor:
    """Mask `[B, 1, 1, T]`: attention broadcasts it over queries, so no T x T mask is built."""
    return valid_mask[:, None, None, :]
