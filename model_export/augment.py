"""Waveform augmentation for rooms and telephones, and SpecAugment on hidden frames."""

import random

import audiomentations
import numpy as np
import soxr
import torch
from torch import Tensor

from service.arrays import FloatArray
from service.audio import SAMPLE_RATE_HZ

SPEEDS = (0.9, 1.0, 1.1)
SEED_RANGE = 2**32
AUGMENTATION = "speed-eq-band-noise-gain/1"


class WaveformAugmenter:
    """Speed, channel colour, band limits, noise and gain; each utterance by its own seed."""

    def __init__(self) -> None:
        self._chain = audiomentations.Compose(
            [
                audiomentations.SevenBandParametricEQ(-8.0, 8.0, p=0.6),
                audiomentations.OneOf(
                    [
                        audiomentations.LowPassFilter(3000.0, 7000.0),
                        audiomentations.BandPassFilter(1000.0, 2000.0, 0.8, 1.6),
                    ],
                    p=0.3,
                ),
                audiomentations.AddColorNoise(5.0, 35.0, p=0.7),
                audiomentations.Gain(-18.0, 6.0, p=0.8),
            ]
        )

    def __call__(self, waveform: FloatArray, seed: int) -> FloatArray:
        """Augment one utterance `[samples]`; the same seed gives the same result.

        audiomentations draws from the global generators, hence the seeding of both.
        """
        random.seed(seed)
        np.random.seed(seed % SEED_RANGE)
        speed = random.choice(SPEEDS)
        if speed != 1.0:
            waveform = soxr.resample(waveform, SAMPLE_RATE_HZ * speed, SAMPLE_RATE_HZ)
        augmented = self._chain(samples=waveform, sample_rate=SAMPLE_RATE_HZ)
        clipped: FloatArray = np.clip(augmented, -1.0, 1.0).astype(np.float32)
        return clipped


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
    masked = time_mask.unsqueeze(2) | width_mask.unsqueeze(1)
    return hidden.masked_fill(masked.to(hidden.device), 0.0)


def _random_spans(rows: int, size: int, spans: int, longest: int) -> Tensor:
    """Mask `[rows, size]`, True inside `spans` random spans of 0 to `longest` each."""
    lengths = torch.randint(0, min(longest, size) + 1, (rows, spans, 1))
    starts = (torch.rand(rows, spans, 1) * (size - lengths)).long()
    positions = torch.arange(size)
    return ((positions >= starts) & (positions < starts + lengths)).any(dim=1)
