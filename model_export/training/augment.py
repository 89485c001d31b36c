"""Augmentation of waveforms by a seed."""

import math
import random
import zlib
from dataclasses import dataclass

import audiomentations
import numpy as np
import soxr

from model_export.training.channels import Rooms, through_any_codec
from service.arrays import FloatArray
from service.audio import SAMPLE_RATE_HZ

SPEEDS = (0.9, 1.0, 1.1)
PAUSED_SHARE = 0.25
LONGEST_PAUSES_S = 20.0  # before and after together
ROOM_SHARE = 0.3
CODEC_SHARE = 0.4
AUGMENTATION = "speed-pause-room-eq-band-noise-gain-codec/5"


@dataclass(frozen=True)
class Timing:
    """What augmentation does to the length of an utterance.

    Attributes:
        speed: how many times faster.
        before: samples of silence that are put before it.
        after: samples of silence that are put behind it.
    """

    speed: float
    before: int
    after: int

    def lengthen(self, samples: int) -> int:
        """Length of so many samples afterwards; resampling may be one sample off."""
        return self.before + round(samples / self.speed) + self.after


class WaveformAugmenter:
    """Speed, pauses, rooms, colour, band limits, noise, gain and codecs, by a seed per utterance.

    The length of the result depends on the seed alone, so that batches can be made before anything
    is decoded; the sound differs by epoch too.

    Args:
        longest_s: pauses are not added beyond this; None means no limit.
    """

    def __init__(self, longest_s: float | None = None) -> None:
        self._longest_s = math.inf if longest_s is None else longest_s
        self._rooms = Rooms()
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

    def __call__(self, waveform: FloatArray, seed: int, epoch: int = 0) -> FloatArray:
        """Augment one utterance `[samples]`; seed and epoch give one result.

        audiomentations draws from the global generators, hence the seeding of both.
        """
        timing = self.timing(len(waveform), seed)
        if timing.speed != 1.0:
            waveform = soxr.resample(waveform, SAMPLE_RATE_HZ * timing.speed, SAMPLE_RATE_HZ)
        # Silence before and after, which a model must learn to keep silent about.
        waveform = np.pad(waveform, (timing.before, timing.after))
        sound_seed = zlib.crc32(f"{seed}/{epoch}".encode())
        random.seed(sound_seed)
        np.random.seed(sound_seed)
        draw = random.Random(sound_seed)
        if draw.random() < ROOM_SHARE:
            waveform = self._rooms(waveform)
        augmented = self._chain(samples=waveform, sample_rate=SAMPLE_RATE_HZ)
        clipped: FloatArray = np.clip(augmented, -1.0, 1.0).astype(np.float32)
        if draw.random() < CODEC_SHARE:
            clipped = through_any_codec(clipped, draw)
        return clipped

    def timing(self, samples: int, seed: int) -> Timing:
        """Draw speed and pauses for an utterance of so many samples."""
        draw = random.Random(seed)
        speed = draw.choice(SPEEDS)
        if draw.random() >= PAUSED_SHARE:
            return Timing(speed, 0, 0)
        room_s = max(0.0, self._longest_s - math.ceil(samples / speed) / SAMPLE_RATE_HZ)
        pause_samples = int(draw.random() * min(room_s, LONGEST_PAUSES_S) * SAMPLE_RATE_HZ)
        before = int(draw.random() * pause_samples)
        return Timing(speed, before, pause_samples - before)
