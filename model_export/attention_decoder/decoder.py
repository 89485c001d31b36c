"""Whisper's decoder over the encoder's frames of a CTC model, for few words and short audio.

Whisper (Radford et al., arXiv 2212.04356) writes text token by token, attending to all frames. Here
it has a smaller vocabulary, no timestamps and one start token, and attends to valid frames only.

Shapes: B batch, U tokens, P tokens before them, T frames, D width, L layers.
"""

from collections.abc import Iterator
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model_export.attention_decoder.layers import DecoderLayer
from model_export.front_ends.log_mel import valid_frames


class Memory(NamedTuple):
    """What all tokens attend to.

    Attributes:
        keys: `[L, B, T, D]`.
        values: `[L, B, T, D]`.
        is_valid: `[B, T]`, True for frames that are not padding.
    """

    keys: Tensor
    values: Tensor
    is_valid: Tensor


class Past(NamedTuple):
    """Keys and values `[L, B, P, D]` of the tokens so far."""

    keys: Tensor
    values: Tensor


class AttentionDecoder(nn.Module):
    """Next-token logits, given frames and the tokens so far.

    Args:
        vocabulary_size: tokens, start and end included.
        width: of frames and tokens.
        layers: how many.
        heads: of each attention.
        inner: width of the feed-forward parts.
        longest: tokens of a text at most.
    """

    def __init__(
        self, *, vocabulary_size: int, width: int, layers: int, heads: int, inner: int, longest: int
    ) -> None:
        super().__init__()
        self.frame_norm = nn.LayerNorm(width)
        self.tokens = nn.Embedding(vocabulary_size, width)
        self.positions = nn.Embedding(longest, width)
        self.layers = nn.ModuleList(DecoderLayer(width, heads, inner) for _ in range(layers))
        self.norm = nn.LayerNorm(width)

    def remember(self, frames: Tensor, lengths: Tensor) -> Memory:
        """Keys and values of frames `[B, T, D]` of which `lengths` `[B]` are valid."""
        frames = self.frame_norm(frames)
        pairs = [layer.cross.keys_and_values(frames) for layer in self._each_layer()]
        keys, values = (torch.stack(part) for part in zip(*pairs, strict=True))
        return Memory(keys, values, valid_frames(lengths, frames.shape[1]))

    def nothing_before(self, batch: int) -> Past:
        """The past of a first token."""
        width = self.norm.normalized_shape[0]
        empty = self.norm.weight.new_zeros(len(self.layers), batch, 0, width)
        return Past(empty, empty)

    def forward(self, tokens: Tensor, memory: Memory, past: Past) -> tuple[Tensor, Past]:
        """Logits `[B, U, V]` of what follows each of the tokens `[B, U]`, and the new past."""
        hidden, past = self.hidden(tokens, memory, past)
        return F.linear(hidden, self.tokens.weight), past

    def hidden(self, tokens: Tensor, memory: Memory, past: Past) -> tuple[Tensor, Past]:
        """What the logits are made of, `[B, U, D]`, and the new past."""
        before, count = past.keys.shape[2], tokens.shape[1]
        places = torch.arange(before, before + count, device=tokens.device)
        may_see = torch.arange(before + count, device=tokens.device) <= places[:, None]
        hidden = self.tokens(tokens) + self.positions(places)
        keys, values = [], []
        for depth, layer in enumerate(self._each_layer()):
            new_keys, new_values = layer.mix.keys_and_values(layer.mix_norm(hidden))
            keys.append(torch.cat([past.keys[depth], new_keys], dim=1))
            values.append(torch.cat([past.values[depth], new_values], dim=1))
            hidden = layer(
                hidden,
                (keys[-1], values[-1], may_see[None, None]),
                (memory.keys[depth], memory.values[depth], memory.is_valid[:, None, None]),
            )
        return self.norm(hidden), Past(torch.stack(keys), torch.stack(values))

    def _each_layer(self) -> Iterator[DecoderLayer]:
        return (cast(DecoderLayer, layer) for layer in self.layers)
