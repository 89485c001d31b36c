"""Means over valid frames: of an utterance, of a neighbourhood, and of what was heard so far.

Shapes: B batch, T frames, D width, C frames of a chunk, N chunks, w half window.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


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


def mean_so_far(frames: Tensor, valid_mask: Tensor, chunk_frames: int) -> Tensor:
    """Mean over the valid frames of each chunk and all chunks before it, summed in float32.

    Args:
        frames: `[B, T, D]`.
        valid_mask: `[B, T]`, True on valid frames.
        chunk_frames: C; the last chunk may be shorter.

    Returns:
        `[B, N, D]` in the dtype of `frames`; zero where no frame is valid yet.
    """
    masked = torch.where(valid_mask.unsqueeze(-1), frames, 0.0)
    sums = _into_chunks(masked, chunk_frames).sum(dim=2, dtype=torch.float32).cumsum(dim=1)
    counts = _into_chunks(valid_mask.unsqueeze(-1), chunk_frames).sum(dim=2).cumsum(dim=1)
    return (sums / counts.clamp(min=1)).to(frames.dtype)


def over_frames(chunks: Tensor, chunk_frames: int, frames: int) -> Tensor:
    """Give each frame what its chunk has: `[B, N, D]` to `[B, T, D]`."""
    spread = chunks.unsqueeze(2).expand(-1, -1, chunk_frames, -1)
    return spread.flatten(1, 2)[:, :frames]


def window_mean(
    frames: Tensor,
    valid_mask: Tensor,
    window_frames: int,
    weights: Tensor | None = None,
    chunk_frames: int | None = None,
) -> Tensor:
    """Mean over the valid frames at most `window_frames` away from each frame.

    Pools sums of width 2w+1 instead of differencing cumulative sums, which lose precision over
    an hour of frames.

    Args:
        frames: `[B, T, D]`.
        valid_mask: `[B, T]`, True on valid frames.
        window_frames: w, the half window; 0 gives each frame itself.
        weights: `[D, 2w+1]`, of each feature at each distance, the past first, whose sum is divided
            by the share of the window that is valid; None weighs all alike.
        chunk_frames: C: a frame sees nothing behind the end of its chunk; None cuts no window.

    Returns:
        `[B, T, D]` in the dtype of `frames`; zero where no frame in reach is valid.
    """
    span_frames = 2 * window_frames + 1
    masked = torch.where(valid_mask.unsqueeze(-1), frames, 0.0).float().transpose(1, 2)
    present = valid_mask.float().unsqueeze(1)
    if chunk_frames is None:
        sums = _pooled(masked, window_frames, weights)
        shares = _pooled(present, window_frames, None)
    else:
        sums = _pooled_to_chunk_end(masked, window_frames, weights, chunk_frames)
        shares = _pooled_to_chunk_end(present, window_frames, None, chunk_frames)
    means = sums / shares.clamp(min=1.0 / span_frames)
    return means.transpose(1, 2).to(frames.dtype)


def mean_in_reach(
    reach: Tensor, reach_mask: Tensor, window_frames: int, weights: Tensor | None
) -> Tensor:
    """Window means of the frames of one chunk, given also the w frames before it.

    Args:
        reach: `[B, w+C, D]`, float32, zero where the mask is False.
        reach_mask: `[B, w+C]`, True on valid frames.
        window_frames: w, the half window; what lies behind the chunk is not in reach.
        weights: as `window_mean` takes them.

    Returns:
        `[B, C, D]`, float32; zero where no frame in reach is valid.
    """
    span_frames, padding = 2 * window_frames + 1, [0, window_frames]
    sums = _sums(reach.transpose(1, 2), padding, span_frames, window_frames, weights)
    present = reach_mask.float().unsqueeze(1)
    shares = _sums(present, padding, span_frames, window_frames, None)
    means: Tensor = sums / shares.clamp(min=1.0 / span_frames)
    return means.transpose(1, 2)


def _pooled(rows: Tensor, window_frames: int, weights: Tensor | None) -> Tensor:
    """Weighted sums over windows of `[B, D, T]`; without weights each frame counts 1/(2w+1)."""
    padding = [window_frames, window_frames]
    return _sums(rows, padding, 2 * window_frames + 1, window_frames, weights)


def _pooled_to_chunk_end(
    rows: Tensor, window_frames: int, weights: Tensor | None, chunk_frames: int
) -> Tensor:
    """The same, but of a window's later half only what lies in the frame's own chunk."""
    frames = rows.shape[2]
    past = None if weights is None else weights[:, : window_frames + 1]
    sums = _sums(rows, [window_frames, 0], window_frames + 1, window_frames, past)
    if window_frames == 0:
        return sums
    following = None if weights is None else weights[:, window_frames + 1 :]
    chunks = _into_chunks(rows.transpose(1, 2), chunk_frames)
    later = chunks.flatten(0, 1)[:, 1:].transpose(1, 2)
    ahead = _sums(later, [0, window_frames], window_frames, window_frames, following)
    whole: Tensor = ahead.transpose(1, 2).unflatten(0, chunks.shape[:2]).flatten(1, 2)
    return sums + whole[:, :frames].transpose(1, 2)


def _sums(
    rows: Tensor, padding: list[int], size: int, window_frames: int, weights: Tensor | None
) -> Tensor:
    """Sums over `size` frames of `[B, D, T]`; without weights each counts 1/(2w+1).

    Computed as images of one line: ONNX Runtime has fast kernels for channels of images only, ten
    times as fast on a CPU as its convolution of sequences.
    """
    lines = F.pad(rows.unsqueeze(2), padding)
    if weights is None:
        sums = F.avg_pool2d(lines, [1, size], stride=1) * (size / (2 * window_frames + 1))
    else:
        sums = _weighted_sums(lines, weights)
    return sums.squeeze(2)


def _weighted_sums(lines: Tensor, weights: Tensor) -> Tensor:
    """Correlate each feature of `[B, D, 1, T]` with its own weights `[D, size]`, in float32."""
    kernel = weights.float().unsqueeze(1).unsqueeze(1)
    if torch.jit.is_scripting():  # type: ignore[attr-defined]
        return F.conv2d(lines, kernel, groups=kernel.shape[0])
    # Only where it is needed: an export would make a graph of its own of the context.
    if not torch.is_autocast_enabled(lines.device.type):
        return F.conv2d(lines, kernel, groups=kernel.shape[0])
    with torch.autocast(lines.device.type, enabled=False):
        return F.conv2d(lines, kernel, groups=kernel.shape[0])


def _into_chunks(frames: Tensor, chunk_frames: int) -> Tensor:
    """Cut `[B, T, D]` into `[B, N, C, D]`, zeros (or False) behind the last frame."""
    missing = -frames.shape[1] % chunk_frames
    chunks: Tensor = F.pad(frames, [0, 0, 0, missing]).unflatten(1, [-1, chunk_frames])
    return chunks
