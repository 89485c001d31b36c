"""Waveform augmentation for rooms and telephones, and SpecAugment on hidden frames."""

import math
import random

import audiomentations
import numpy as np
import soxr
import torch
from torch import Tensor

from service.arrays import FloatArray
from service.audio import SAMPLE_RATE_HZ

SPEEDS = (0.9, 1.0, 1.1)
PAUSED_SHARE = 0.5
LONGEST_PAUSES_S = 20.0  # before and after together
SEED_RANGE = 2**32
AUGMENTATION = "speed-pause-eq-band-noise-gain/2"


class WaveformAugmenter:
    """Speed, pauses, channel colour, band limits, noise and gain; each utterance by its own seed.

    Args:
        longest_s: pauses are not added beyond this; None means no limit.
    """

    def __init__(self, longest_s: float | None = None) -> None:
        self._longest_s = math.inf if longest_s is None else longest_s
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
        if random.random() < PAUSED_SHARE:
            waveform = self._with_pauses(waveform)
        augmented = self._chain(samples=waveform, sample_rate=SAMPLE_RATE_HZ)
        clipped: FloatArray = np.clip(augmented, -1.0, 1.0).astype(np.float32)
        return clipped

    def _with_pauses(self, waveform: FloatArray) -> FloatArray:
        """Silence before and after, which a model must learn to keep silent about."""
        room_s = max(0.0, self._longest_s - len(waveform) / SAMPLE_RATE_HZ)
        pause_samples = int(random.random() * min(room_s, LONGEST_PAUSES_S) * SAMPLE_RATE_HZ)
        before = int(random.random() * pause_samples)
        return np.pad(waveform, (before, pause_samples - before))


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
