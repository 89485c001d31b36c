"""Attention with a bias on its scores, as products and a softmax.

torch's fused attention takes such a bias too, but cannot be exported with it: the exporter's
kernel lays its output out otherwise than the one that was traced. Without a bias it stays in use.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import AttentionInterface

IMPLEMENTATION = "wsm_biased"


def biased_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor,
    **options: Any,
) -> tuple[Tensor, None]:
    """Attend, called as transformers calls its implementations.

    Args:
        module: the attention; in training mode, weights are dropped out.
        query: `[batch, heads, frames, width]`, like `key` and `value`.
        key: see `query`.
        value: see `query`.
        attention_mask: `[batch, 1, 1, frames]`, True on valid frames.
        options: scaling of the scores, position_bias `[.., frames, frames]`, dropout.

    Returns:
        mixed frames `[batch, frames, heads, width]`, and no weights.
    """
    scores = query @ key.transpose(2, 3) * options["scaling"] + options["position_bias"]
    scores = scores.masked_fill(~attention_mask, torch.finfo(scores.dtype).min)
    weights = F.dropout(scores.softmax(dim=3), options["dropout"], module.training)
    return (weights @ value).transpose(1, 2).contiguous(), None


AttentionInterface.register(IMPLEMENTATION, biased_attention)
