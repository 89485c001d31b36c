"""Whisper's log-mel features as windowing and matrix products, so that they export everywhere.

Each utterance is padded, floored and scaled by itself: what else is in the batch changes nothing.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.audio_utils import mel_filter_bank

from service.audio import SAMPLE_RATE_HZ

WINDOW_SAMPLES = 400
HOP_SAMPLES = 160
EDGE_SAMPLES = WINDOW_SAMPLES // 2
DYNAMIC_RANGE_LOG10 = 8.0
SMALLEST_POWER = 1e-10


class LogMel(nn.Module):
    """Log-mel features of 16 kHz waveforms, 100 frames per second.

    Agrees with transformers' `WhisperFeatureExtractor` on 30 s of audio. Shorter audio is not
    filled up to 30 s: its edges are mirrored where it really ends.

    Args:
        mel_bands: number of bands, 80 in the smaller Whisper models.
    """

    cosines: Tensor
    sines: Tensor
    filters: Tensor

    def __init__(self, mel_bands: int) -> None:
        super().__init__()
        bins = WINDOW_SAMPLES // 2 + 1
        filters = mel_filter_bank(
            bins, mel_bands, 0.0, SAMPLE_RATE_HZ / 2, SAMPLE_RATE_HZ, "slaney", "slaney"
        )
        cosines, sines = _fourier_matrices()
        self.register_buffer("cosines", cosines, persistent=False)
        self.register_buffer("sines", sines, persistent=False)
        self.register_buffer(
            "filters", torch.from_numpy(filters.T.astype(np.float32)), persistent=False
        )

    def forward(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Compute features.

        Args:
            waveforms: `[batch, samples]` in [-1, 1]; what lies past `lengths` is ignored.
            lengths: `[batch]`, valid samples of each row, at least 1.

        Returns:
            features `[batch, mel_bands, mel_frames]`, zero on invalid frames, and
            mel frame lengths `[batch]`.
        """
        mel_frames = (waveforms.shape[1] + HOP_SAMPLES - 1) // HOP_SAMPLES
        frames = _frames(_mirror_edges(waveforms.float(), lengths), mel_frames)
        power = torch.matmul(self.filters, self._power(frames).transpose(1, 2))
        mel_lengths = (lengths + HOP_SAMPLES - 1) // HOP_SAMPLES
        valid_mask = valid_frames(mel_lengths, power.shape[2]).unsqueeze(1)
        return _compress(power, valid_mask), mel_lengths

    def _power(self, frames: Tensor) -> Tensor:
        """Power spectrum `[batch, mel_frames, bins]` of frames `[batch, mel_frames, window]`.

        In float64: a quiet band beside loud ones is a small difference of large sums, and its
        logarithm would show how each runtime orders them. The two halves of a window are folded
        onto each other first, which halves the work: cosines are even and sines are odd.
        """
        middle = WINDOW_SAMPLES // 2
        start, rest = frames.double().split([middle + 1, middle - 1], dim=2)
        mirrored = rest.flip(2)
        inner = start[:, :, 1:middle]
        even = torch.cat([start[:, :, :1], inner + mirrored, start[:, :, middle:]], dim=2)
        real: Tensor = even @ self.cosines
        imaginary: Tensor = (inner - mirrored) @ self.sines
        return (real.square() + imaginary.square()).float()


def valid_frames(frame_lengths: Tensor, frames: int) -> Tensor:
    """Mask `[batch, frames]`, True before each row's length."""
    return torch.arange(frames, device=frame_lengths.device) < frame_lengths.unsqueeze(1)


def _compress(power: Tensor, valid_mask: Tensor) -> Tensor:
    """Log, floor 8 decades under the utterance's maximum, and scale as Whisper does."""
    log_power = power.clamp(min=SMALLEST_POWER).log10()
    loudest = log_power.masked_fill(~valid_mask, float("-inf")).amax(dim=(1, 2), keepdim=True)
    floored = torch.maximum(log_power, loudest - DYNAMIC_RANGE_LOG10)
    return ((floored + 4.0) / 4.0).masked_fill(~valid_mask, 0.0)


def _mirror_edges(waveforms: Tensor, lengths: Tensor) -> Tensor:
    """Pad each row by half a window, mirrored at its own two ends; zero beyond."""
    valid_mask = valid_frames(lengths, waveforms.shape[1])
    padded = F.pad(waveforms.masked_fill(~valid_mask, 0.0), (0, 2 * WINDOW_SAMPLES))
    head = padded[:, 1 : EDGE_SAMPLES + 1].flip(1)
    steps = torch.arange(EDGE_SAMPLES, device=waveforms.device)
    tail = padded.gather(1, (lengths.unsqueeze(1) - 2 - steps).clamp(min=0))
    padded = padded.scatter(1, lengths.unsqueeze(1) + steps, tail)
    return torch.cat([head, padded], dim=1)


def _frames(padded: Tensor, mel_frames: int) -> Tensor:
    """Overlapping windows `[batch, mel_frames, window]`, made of blocks that tile them."""
    block = math.gcd(WINDOW_SAMPLES, HOP_SAMPLES)
    step, width = HOP_SAMPLES // block, WINDOW_SAMPLES // block
    blocks = padded[:, : (step * mel_frames + width) * block].unflatten(1, (-1, block))
    shifted = [blocks[:, shift : shift + step * mel_frames : step] for shift in range(width)]
    return torch.cat(shifted, dim=2)


def _fourier_matrices() -> tuple[Tensor, Tensor]:
    """Hann-windowed cosines `[201, bins]` of samples 0 to 200, and sines `[199, bins]` of 1 to 199.

    The second half of a window mirrors the first, so both halves share these rows.
    """
    middle = WINDOW_SAMPLES // 2
    samples, bins = np.arange(middle + 1), np.arange(middle + 1)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * samples / WINDOW_SAMPLES)
    phases = 2 * np.pi * np.outer(samples, bins) / WINDOW_SAMPLES
    cosines, sines = hann[:, None] * np.cos(phases), hann[:, None] * np.sin(phases)
    return torch.from_numpy(cosines), torch.from_numpy(sines[1:middle])
