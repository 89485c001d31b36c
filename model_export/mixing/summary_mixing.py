"""SummaryMixing and Windowed SummaryMixing: linear-time stand-ins for self-attention.

Let x_t be the t-th of T valid frames, f and s per-frame transforms and c the combiner:

    SummaryMixing           h_t = c(f(x_t), mean_{1<=j<=T} s(x_j))
    Windowed SummaryMixing  h_t = c(f(x_t), mean_{|j-t|<=w} s(x_j), mean_{1<=j<=T} s(x_j))

Sources: Parcollet et al. 2023 (arXiv 2307.07421) and Menon et al. 2026 (arXiv 2602.09043). Both
means count valid frames only, in the sum and in the count, so padding changes nothing.

Shapes: B batch, T frames, D width.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def global_mean(frames: Tensor, valid_mask: Tensor) -> Tensor:
    """Mean over the valid frames of each row, summed in float32.

    Args:
        frames: `[B, T, D]`.
        valid_mask: `[B, T]`, True on valid frames.

    Returns:
        `[B, 1, D]` in the dtype of `frames`; zero where no frame is valid.
    """
    counts = valid_mask.sum(dim=1, keepdim=True).clamp(min=1).unsqueeze(-1)
    totals = torch.where(valid_mask.unsqueeze(-1), frames, 0.0).sum(
        dim=1, keepdim=True, dtype=torch.float32
    )
    return (totals / counts).to(frames.dtype)


def window_mean(frames: Tensor, valid_mask: Tensor, window_frames: int) -> Tensor:
    """Mean over the valid frames at most `window_frames` away from each frame.

    Pools sums of width 2w+1 instead of differencing cumulative sums, which lose precision over
    an hour of frames.

    Args:
        frames: `[B, T, D]`.
        valid_mask: `[B, T]`, True on valid frames.
        window_frames: w, the half window; 0 gives each frame itself.

    Returns:
        `[B, T, D]` in the dtype of `frames`; zero where no frame in reach is valid.
    """
    span_frames = 2 * window_frames + 1
    masked = torch.where(valid_mask.unsqueeze(-1), frames, 0.0).float()
    sums = F.avg_pool1d(masked.transpose(1, 2), span_frames, stride=1, padding=window_frames)
    shares = F.avg_pool1d(
        valid_mask.float().unsqueeze(1), span_frames, stride=1, padding=window_frames
    )
    means = sums / shares.clamp(min=1.0 / span_frames)
    return means.transpose(1, 2).to(frames.dtype)


class SummaryMixing(nn.Module):
    """Mixes each frame with the mean of its utterance.

    Args:
        width: D, of input and output.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        self.local_branch = nn.Sequential(nn.Linear(width, width), nn.GELU())
        self.summary_branch = nn.Sequential(nn.Linear(width, width), nn.GELU())
        self.combiner = nn.Linear(2 * width, width)

    def forward(self, frames: Tensor, valid_mask: Tensor) -> Tensor:
        """Mix frames.

        Args:
            frames: `[B, T, D]`.
            valid_mask: `[B, T]`, True on valid frames.

        Returns:
            `[B, T, D]`; rows of invalid frames hold no meaning.
        """
        local = self.local_branch(frames)
        summary = global_mean(self.summary_branch(frames), valid_mask)
        local_weight, global_weight = self.combiner.weight.split(self.width, dim=1)
        return F.linear(local, local_weight) + F.linear(summary, global_weight, self.combiner.bias)


class WindowedSummaryMixing(nn.Module):
    """Mixes each frame with the means of its neighbourhood and of its utterance.

    The combiner's matrix is applied block by block, so that the utterance mean is projected once
    and the `[B, T, 3D]` concatenation is never built.

    Args:
        width: D, of input and output.
        window_frames: w, the half window.

    Raises:
        ValueError: `window_frames` is negative.
    """

    def __init__(self, width: int, window_frames: int) -> None:
        super().__init__()
        if window_frames < 0:
            raise ValueError(f"window_frames is {window_frames}; it must be at least 0")
        self.width = width
        self.window_frames = window_frames
        self.local_branch = nn.Sequential(nn.Linear(width, width), nn.GELU())
        self.summary_branch = nn.Sequential(nn.Linear(width, width), nn.GELU())
        self.combiner = nn.Linear(3 * width, width)

    def forward(self, frames: Tensor, valid_mask: Tensor) -> Tensor:
        """Mix frames.

        Args:
            frames: `[B, T, D]`.
            valid_mask: `[B, T]`, True on valid frames.

        Returns:
            `[B, T, D]`; rows of invalid frames hold no meaning.
        """
        local = self.local_branch(frames)
        summaries = self.summary_branch(frames)
        nearby = window_mean(summaries, valid_mask, self.window_frames)
        overall = global_mean(summaries, valid_mask)
        local_weight, window_weight, global_weight = self.combiner.weight.split(self.width, dim=1)
        return (
            F.linear(local, local_weight)
            + F.linear(nearby, window_weight)
            + F.linear(overall, global_weight, self.combiner.bias)
        )
