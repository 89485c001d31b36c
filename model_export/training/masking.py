"""SpecAugment on hidden frames."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class SpecAugment:
    """Amounts of masking on the hidden frames below the first trained layer."""

    time_masks: int = 2
    longest_time_mask_frames: int = 20
    width_masks: int = 2
    widest_mask_share: float = 1 / 16


def spec_augment(
    hidden: Tensor,
    *,
    time_masks: int,
    longest_time_mask_frames: int,
    width_masks: int,
    widest_mask_share: float,
) -> Tensor:
    """Zero random spans of frames and of features, drawn per utterance.

    Args:
        hidden: `[batch, frames, width]`.
        time_masks: spans of frames per utterance.
        longest_time_mask_frames: length of the longest of them.
        width_masks: spans of features per utterance.
        widest_mask_share: length of the widest of them, as a share of the width.

    Returns:
        A new `[batch, frames, width]`.
    """
    widest = int(hidden.shape[2] * widest_mask_share)
    time_mask = _random_spans(
        hidden.shape[0], hidden.shape[1], time_masks, longest_time_mask_frames
    )
    width_mask = _random_spans(hidden.shape[0], hidden.shape[2], width_masks, widest)
    # Drawn on the CPU, so that a seed means the same on every device; put together where they are
    # needed, so that little is copied.
    time_mask, width_mask = (
        mask.to(hidden.device, non_blocking=True) for mask in (time_mask, width_mask)
    )
    return hidden.masked_fill(time_mask.unsqueeze(2) | width_mask.unsqueeze(1), 0.0)


def _random_spans(rows: int, size: int, spans: int, longest: int) -> Tensor:
    """Mask `[rows, size]`, True inside `spans` random spans of 0 to `longest` each."""
    lengths = torch.randint(0, min(longest, size) + 1, (rows, spans, 1))
    starts = (torch.rand(rows, spans, 1) * (size - lengths)).long()
    positions = torch.arange(size)
    return ((positions >= starts) & (positions < starts + lengths)).any(dim=1)
