"""Zero mean and unit variance over what is valid of each utterance."""

import torch
from torch import Tensor

from model_export.front_ends.log_mel import valid_frames

VARIANCE_FLOOR = 1e-7


def standardise(values: Tensor, lengths: Tensor, *, ddof: int = 0) -> Tensor:
    """Shift and scale each row, or each channel of it, to zero mean and unit variance over time.

    Sums are in float64: ONNX Runtime adds one value after the other, and after 58 million, an hour
    of samples, a float32 sum no longer grows.

    Args:
        values: `[batch, time]` or `[batch, time, channels]`.
        lengths: `[batch]`, valid steps of each row, more than `ddof`.
        ddof: 1 for the variance of a sample, 0 for that of all there is.

    Returns:
        float32 of the same shape, zero beyond each row's length.
    """
    channels = [1] * (values.dim() - 2)
    padding_mask = ~valid_frames(lengths, values.shape[1]).reshape(*values.shape[:2], *channels)
    counts = lengths.reshape(-1, 1, *channels)
    kept = values.float().masked_fill(padding_mask, 0.0)
    mean = (kept.sum(dim=1, keepdim=True, dtype=torch.float64) / counts).float()
    centred = (kept - mean).masked_fill(padding_mask, 0.0)
    squares = centred.square().sum(dim=1, keepdim=True, dtype=torch.float64)
    return centred * torch.rsqrt(squares / (counts - ddof) + VARIANCE_FLOOR).float()
