"""Long inputs in exact overlapping pieces, one after the other: memory is that of one piece."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Piecewise(nn.Module):
    """Applies a module to one piece after the other.

    A trace would unroll the loop for the one length it sees: `exporters` says what stands for it.

    Args:
        body: takes a list of tensors, those of one piece, the first of them `[batch, samples]`, and
            gives a tensor, of the same shape for every piece. It must be fit for TorchScript.
        dtype: of the tensor that it gives.
    """

    def __init__(self, body: nn.Module, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.body = body
        self.dtype = dtype

    def forward(self, inputs: list[Tensor]) -> Tensor:
        """Run the body.

        Args:
            inputs: each `[pieces, ...]`; one piece at least.

        Returns:
            `[pieces, ...]`, what the body gave for each.
        """
        outputs: list[Tensor] = []
        for piece in range(inputs[0].shape[0]):
            outputs.append(self.body([each[piece] for each in inputs]))
        return torch.stack(outputs)


def cut(waveforms: Tensor, *, unit: int, overlap: int, most_samples: int) -> Tensor:
    """Cut a batch into pieces of equal length.

    They tile the batch, up to less than one unit each, so a short batch is one piece without more
    to compute, and one just too long for a piece is two halves.

    Args:
        waveforms: `[batch, samples]`.
        unit: samples that the length of a piece, without its overlap, is a multiple of; at least
            `overlap`.
        overlap: samples of the next piece at the end of each; zeros after the last.
        most_samples: of a piece of all rows together, give or take a unit each.

    Returns:
        `[pieces, batch, piece + overlap]`.
    """
    batch, samples = waveforms.shape
    units = (samples + unit - 1) // unit
    most_units = 1 + most_samples // (unit * batch)
    pieces = (units + most_units - 1) // most_units
    piece = (units + pieces - 1) // pieces * unit
    padded = F.pad(waveforms, (0, (pieces + 1) * piece - samples))
    tiles = padded.reshape(batch, pieces + 1, piece).transpose(0, 1)
    return torch.cat([tiles[:-1], tiles[1:, :, :overlap]], dim=2)


def join(outputs: Tensor, frames: int) -> Tensor:
    """Put pieces `[pieces, batch, frames of a piece, width]` together: `[batch, frames, width]`."""
    pieces, batch, piece_frames, width = outputs.shape
    tiled = outputs.transpose(0, 1).reshape(batch, pieces * piece_frames, width)
    # A split, unlike a slice, tells the exporter the exact number of frames.
    kept, _ = torch.split(tiled, [frames, pieces * piece_frames - frames], dim=1)
    return kept
