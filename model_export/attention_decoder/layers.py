"""One layer of Whisper's decoder: attention to tokens, attention to frames, feed-forward."""

from typing import TypeAlias

import torch.nn.functional as F
from torch import Tensor, nn

Attended: TypeAlias = tuple[Tensor, Tensor, Tensor]  # keys, values, and which may be seen


class Attention(nn.Module):
    """Multi-head attention whose keys and values are computed apart from its queries.

    Args:
        width: of what comes in and goes out.
        heads: how many; they divide the width.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.queries = nn.Linear(width, width)
        self.keys = nn.Linear(width, width, bias=False)
        self.values = nn.Linear(width, width)
        self.out = nn.Linear(width, width)

    def keys_and_values(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Of hidden `[B, N, D]`, both `[B, N, D]`."""
        return self.keys(hidden), self.values(hidden)

    def forward(self, hidden: Tensor, attended: Attended) -> Tensor:
        """What `hidden` `[B, U, D]` finds; the mask broadcasts to `[B, heads, U, N]`."""
        keys, values, may_see = attended
        found = F.scaled_dot_product_attention(
            self._split(self.queries(hidden)),
            self._split(keys),
            self._split(values),
            attn_mask=may_see,
        )
        result: Tensor = self.out(found.transpose(1, 2).flatten(2))
        return result

    def _split(self, hidden: Tensor) -> Tensor:
        width = hidden.shape[2] // self.heads
        return hidden.view(*hidden.shape[:2], self.heads, width).transpose(1, 2)


class DecoderLayer(nn.Module):
    """Pre-norm layer; see `Attention` for the arguments, `inner` is the feed-forward's width."""

    def __init__(self, width: int, heads: int, inner: int) -> None:
        super().__init__()
        self.mix_norm = nn.LayerNorm(width)
        self.mix = Attention(width, heads)
        self.cross_norm = nn.LayerNorm(width)
        self.cross = Attention(width, heads)
        self.feed_norm = nn.LayerNorm(width)
        self.widen = nn.Linear(width, inner)
        self.narrow = nn.Linear(inner, width)

    def forward(self, hidden: Tensor, tokens: Attended, frames: Attended) -> Tensor:
        """The next hidden `[B, U, D]`."""
        hidden = hidden + self.mix(self.mix_norm(hidden), tokens)
        hidden = hidden + self.cross(self.cross_norm(hidden), frames)
        fed: Tensor = hidden + self.narrow(F.gelu(self.widen(self.feed_norm(hidden))))
        return fed
