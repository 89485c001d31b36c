"""SummaryMixing and Windowed SummaryMixing: linear-time stand-ins for self-attention.

Let x_t be the t-th of T valid frames, f and s per-frame transforms and c the combiner:

    SummaryMixing           h_t = c(f(x_t), mean_{1<=j<=T} s(x_j))
    Windowed SummaryMixing  h_t = c(f(x_t), mean_{|j-t|<=w} s(x_j), mean_{1<=j<=T} s(x_j))

Sources: Parcollet et al. 2023 (arXiv 2307.07421) and Menon et al. 2026 (arXiv 2602.09043). Both
means count valid frames only, in the sum and in the count, so padding changes nothing.

Chunked, for streaming (as attention is cut in Zhang et al. 2020, arXiv 2012.05481): let e be the
last frame of the chunk of C frames that t lies in. Nothing after e is seen:

    h_t = c(f(x_t), mean_{t-w<=j<=min(t+w,e)} s(x_j), mean_{1<=j<=e} s(x_j))

Learned window weights k of each feature stand for the plain mean, which cannot tell left from
right: sum_j k_{j-t} s(x_j), divided by the share of the 2w+1 frames that is valid and in reach.

Shapes: B batch, T frames, D width.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model_export.mixing.means import global_mean, mean_so_far, over_frames, window_mean


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
        learned_window: weigh the frames of a window, beginning with the plain mean.

    Attributes:
        chunk_frames: C, where frames see their own chunk and the past; None for all.

    Raises:
        ValueError: `window_frames` is negative.
    """

    chunk_frames: int | None

    def __init__(self, width: int, window_frames: int, *, learned_window: bool = False) -> None:
        super().__init__()
        if window_frames < 0:
            raise ValueError(f"window_frames is {window_frames}; it must be at least 0")
        self.width = width
        self.window_frames = window_frames
        self.chunk_frames = None
        self.local_branch = nn.Sequential(nn.Linear(width, width), nn.GELU())
        self.summary_branch = nn.Sequential(nn.Linear(width, width), nn.GELU())
        self.combiner = nn.Linear(3 * width, width)
        span_frames = 2 * window_frames + 1
        uniform = torch.full((width, span_frames), 1.0 / span_frames)
        self.window_weights = nn.Parameter(uniform) if learned_window else None

    def forward(self, frames: Tensor, valid_mask: Tensor) -> Tensor:
        """Mix frames.

        Args:
            frames: `[B, T, D]`.
            valid_mask: `[B, T]`, True on valid frames.

        Returns:
            `[B, T, D]`; rows of invalid frames hold no meaning.
        """
        chunk_frames = self.chunk_frames
        summaries = self.summary_branch(frames)
        nearby = window_mean(
            summaries, valid_mask, self.window_frames, self.window_weights, chunk_frames
        )
        if chunk_frames is None:
            return self.combine(frames, nearby, global_mean(summaries, valid_mask))
        overall = mean_so_far(summaries, valid_mask, chunk_frames)
        return self.combine(frames, nearby, overall, chunk_frames)

    def combine(
        self, frames: Tensor, nearby: Tensor, overall: Tensor, chunk_frames: int | None = None
    ) -> Tensor:
        """Put frames and their two means together.

        Args:
            frames: `[B, T, D]`.
            nearby: `[B, T, D]`, means of the neighbourhoods.
            overall: `[B, 1, D]`, mean of all that is heard; or `[B, N, D]`, one for each chunk.
            chunk_frames: frames of a chunk, in the latter case.
        """
        local = self.local_branch(frames)
        local_weight, window_weight, global_weight = self.combiner.weight.split(self.width, dim=1)
        from_all = F.linear(overall, global_weight, self.combiner.bias)
        if chunk_frames is not None:
            from_all = over_frames(from_all, chunk_frames, frames.shape[1])
        return F.linear(local, local_weight) + F.linear(nearby, window_weight) + from_all
