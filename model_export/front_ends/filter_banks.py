"""Kaldi's log filter banks, as w2v-BERT was trained on, each utterance normalised by itself.

An hour in one go would take 8 GB for windows and their spectra, so they are made piece by piece.
"""

import numpy as np
import torch
from torch import Tensor, nn
from transformers.audio_utils import mel_filter_bank

from model_export.front_ends.piecewise import Piecewise, cut, join
from model_export.front_ends.spectrum import (
    HOP_SAMPLES,
    WINDOW_SAMPLES,
    PowerSpectrum,
    overlapping_windows,
)
from model_export.front_ends.standardisation import standardise
from service.arrays import SAMPLE_RATE_HZ

FFT_SAMPLES = 512
LOWEST_HZ = 20.0
FULL_SCALE = 2.0**15  # Kaldi reads 16-bit samples as they are
PRE_EMPHASIS = 0.97
SMALLEST_ENERGY = float(np.finfo(np.float32).eps)
PIECE_SAMPLES = 20_000  # whose windows and spectra take 3 MB; larger ones miss the caches of CPUs


class FilterBanks(nn.Module):
    """Normalised log filter banks of 16 kHz waveforms, 100 frames per second.

    Agrees with transformers' `SeamlessM4TFeatureExtractor` before it stacks frames.

    Args:
        mel_bands: number of bands.

    Attributes:
        piece_samples: how much of a batch is in work at a time.
    """

    def __init__(self, mel_bands: int) -> None:
        super().__init__()
        self.piece_samples = PIECE_SAMPLES
        self.log_energies = Piecewise(_LogEnergies(mel_bands))

    def forward(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Compute features.

        Args:
            waveforms: `[batch, samples]` in [-1, 1]; what lies past `lengths` is ignored.
            lengths: `[batch]`, valid samples of each row, at least two windows: 560.

        Returns:
            features `[batch, mel_frames, mel_bands]`, zero on invalid frames, and
            mel frame lengths `[batch]`. Every valid frame lies within its utterance.
        """
        pieces = cut(
            waveforms.float(),
            unit=2 * HOP_SAMPLES,
            overlap=WINDOW_SAMPLES - HOP_SAMPLES,
            most_samples=self.piece_samples,
        )
        mel_frames = (waveforms.shape[1] - WINDOW_SAMPLES) // HOP_SAMPLES + 1
        energies = join(self.log_energies([pieces]), mel_frames)
        mel_lengths = (lengths - WINDOW_SAMPLES) // HOP_SAMPLES + 1
        return standardise(energies, mel_lengths, ddof=1), mel_lengths


class _LogEnergies(nn.Module):
    """Log energies `[batch, frames, bands]` of a piece `[piece]`.

    In float64 to their end: an utterance of few frames can have a band that hardly varies. It is
    scaled up to unit variance, and so is whatever tells one runtime from another.
    """

    filters: Tensor

    def __init__(self, mel_bands: int) -> None:
        super().__init__()
        self.mel_bands = mel_bands
        self.width, self.hop = WINDOW_SAMPLES, HOP_SAMPLES
        self.full_scale, self.pre_emphasis = FULL_SCALE, PRE_EMPHASIS
        self.smallest_energy = SMALLEST_ENERGY
        self.spectrum = PowerSpectrum("povey", periodic=False, fft_samples=FFT_SAMPLES)
        filters = mel_filter_bank(
            FFT_SAMPLES // 2 + 1,
            mel_bands,
            LOWEST_HZ,
            SAMPLE_RATE_HZ / 2,
            SAMPLE_RATE_HZ,
            mel_scale="kaldi",
            triangularize_in_mel_space=True,
        )
        self.register_buffer("filters", torch.from_numpy(filters).double(), persistent=False)

    def forward(self, inputs: list[Tensor]) -> Tensor:
        waveforms = inputs[0].double() * self.full_scale
        windows = overlapping_windows(waveforms, (waveforms.shape[1] - self.width) // self.hop + 1)
        windows = windows - windows.mean(dim=2, keepdim=True)
        # Kaldi takes the first sample of a window for its own predecessor.
        before = torch.cat([windows[:, :, :1], windows[:, :, :-1]], dim=2)
        power = self.spectrum(windows - self.pre_emphasis * before)
        energies = torch.matmul(power, self.filters).clamp(min=self.smallest_energy)
        return energies.log().float()

    def shape_of(self, inputs: list[Tensor]) -> list[int]:
        """Shape of the output."""
        batch, samples = inputs[0].shape
        return [batch, (samples - self.width) // self.hop + 1, self.mel_bands]
