"""Short-time power spectra as windowing and matrix products, so that they export everywhere.

Windows of 25 ms every 10 ms: both Whisper and Kaldi take those.
"""

import math

import numpy as np
import torch
from torch import Tensor, nn
from transformers.audio_utils import window_function

WINDOW_SAMPLES = 400
HOP_SAMPLES = 160


class PowerSpectrum(nn.Module):
    """Power spectrum of windows of samples.

    In float64: a quiet band beside loud ones is a small difference of large sums, and its
    logarithm would show how each runtime orders them. The two halves of a window are folded onto
    each other first, which halves the work: counted from the middle, where every phase here
    begins, cosines are even and sines are odd.

    Args:
        window: name of a symmetric window that transformers knows.
        periodic: its middle is sample 200 and its first sample zero; otherwise it has 200 samples
            on each side.
        fft_samples: of the discrete Fourier transform; longer than a window is padded by zeros.
    """

    cosines: Tensor
    sines: Tensor

    def __init__(self, window: str, *, periodic: bool, fft_samples: int) -> None:
        super().__init__()
        self.half_samples = WINDOW_SAMPLES // 2
        self.first = int(periodic)
        weights = window_function(WINDOW_SAMPLES, window, periodic=periodic)
        weights = weights[self.first : self.first + self.half_samples]
        distances = np.arange(self.half_samples)[::-1] + (0.0 if periodic else 0.5)
        # The middle sample of a periodic window is in both halves.
        weights = np.where(distances == 0.0, weights / 2, weights)
        phases = 2 * np.pi * np.outer(distances, np.arange(fft_samples // 2 + 1)) / fft_samples
        for name, waves in (("cosines", np.cos(phases)), ("sines", np.sin(phases))):
            matrix = torch.from_numpy(weights[:, np.newaxis] * waves)
            self.register_buffer(name, matrix, persistent=False)

    def forward(self, windows: Tensor) -> Tensor:
        """Transform windows `[batch, windows, 400]`: `[batch, windows, bins]`, float64."""
        windows = windows.double()
        left = windows[:, :, self.first : self.first + self.half_samples]
        right = windows[:, :, self.half_samples :].flip(2)
        real = torch.matmul(left + right, self.cosines)
        imaginary = torch.matmul(left - right, self.sines)
        return real.square() + imaginary.square()


def overlapping_windows(
    waveforms: Tensor, count: int, width: int = WINDOW_SAMPLES, hop: int = HOP_SAMPLES
) -> Tensor:
    """Cut windows `[batch, count, width]`, made of blocks that tile them.

    Args:
        waveforms: `[batch, samples]`, with all samples of the last window, or more.
        count: windows of each row.
        width: samples of a window.
        hop: samples from one window to the next.
    """
    block = math.gcd(width, hop)
    step, blocks_each = hop // block, width // block
    last = step * (count - 1)
    used = (last + blocks_each) * block
    # A split, unlike a slice, tells the exporter the exact number of samples.
    waveforms, _ = torch.split(waveforms, [used, waveforms.shape[1] - used], dim=1)
    blocks = waveforms.unflatten(1, [-1, block])
    shifted = [blocks[:, shift : shift + last + 1 : step] for shift in range(blocks_each)]
    return torch.cat(shifted, dim=2)
