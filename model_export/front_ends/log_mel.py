"""Whisper's log-mel features, without operators that some runtimes lack.

Each utterance is padded, floored and scaled by itself: what else is in the batch changes nothing.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.audio_utils import mel_filter_bank

from model_export.front_ends.spectrum import (
    HOP_SAMPLES,
    WINDOW_SAMPLES,
    PowerSpectrum,
    overlapping_windows,
)
from service.arrays import SAMPLE_RATE_HZ

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

    filters: Tensor

    def __init__(self, mel_bands: int) -> None:
        super().__init__()
        self.spectrum = PowerSpectrum("hann", periodic=True, fft_samples=WINDOW_SAMPLES)
        self.register_buffer("filters", mel_filters(mel_bands), persistent=False)

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
        windows = overlapping_windows(_mirror_edges(waveforms.float(), lengths), mel_frames)
        power = torch.matmul(self.filters, self.spectrum(windows).float().transpose(1, 2))
        mel_lengths = (lengths + HOP_SAMPLES - 1) // HOP_SAMPLES
        valid_mask = valid_frames(mel_lengths, power.shape[2]).unsqueeze(1)
        return _compress(power, valid_mask), mel_lengths


def mel_filters(mel_bands: int) -> Tensor:
    """Whisper's mel filters `[mel_bands, bins]`, float32."""
    bins = WINDOW_SAMPLES // 2 + 1
    filters = mel_filter_bank(
        bins, mel_bands, 0.0, SAMPLE_RATE_HZ / 2, SAMPLE_RATE_HZ, "slaney", "slaney"
    )
    return torch.from_numpy(filters.T.astype(np.float32))


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
