"""What can be said of a recording without listening to it."""

import hashlib
import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from model_export.data import Clip, Skipped, fault_of
from model_export.data.recordings import load_waveform, rate_of
from model_export.errors import ManifestInvalid
from service.arrays import FloatArray
from service.audio import SAMPLE_RATE_HZ, is_silent

FULL_SCALE = 0.99
DECODING_THREADS = 4  # libsndfile, libav and the resampler let other threads run


@dataclass(frozen=True)
class SoundFacts:
    """One recording.

    Attributes:
        seconds: its duration.
        rate_hz: its own sample rate.
        level_dbfs: root mean square about the mean, in dB of full scale.
        offset: mean of the samples, full scale 1.
        clipped_share: share of the samples at full scale.
        silent: nothing in it is loud enough to be speech.
        digest: of the samples at 16 kHz.
    """

    seconds: float
    rate_hz: int
    level_dbfs: float
    offset: float
    clipped_share: float
    silent: bool
    digest: str


def describe_sound(waveform: FloatArray, rate_hz: int) -> SoundFacts:
    """Facts of a waveform `[samples]` at 16 kHz that was recorded at another rate."""
    return SoundFacts(
        seconds=len(waveform) / SAMPLE_RATE_HZ,
        rate_hz=rate_hz,
        level_dbfs=20 * math.log10(max(float(waveform.std(dtype=np.float64)), 1e-6)),
        offset=float(waveform.mean(dtype=np.float64)),
        clipped_share=float((np.abs(waveform) >= FULL_SCALE).mean()),
        silent=is_silent(waveform),
        digest=hashlib.sha256(waveform.tobytes()).hexdigest(),
    )


def measure_clips(clips: Sequence[Clip]) -> list[SoundFacts | Skipped]:
    """Decode clips in a few threads, with a bar.

    Returns:
        Of each clip its facts, or that it cannot be decoded.
    """
    with ThreadPoolExecutor(DECODING_THREADS) as threads:
        measured = threads.map(_measure, clips)
        return list(tqdm(measured, total=len(clips), desc="check audio", unit="clip"))


def _measure(clip: Clip) -> SoundFacts | Skipped:
    try:
        return describe_sound(load_waveform(clip.audio), rate_of(clip.audio))
    except ManifestInvalid as error:
        return clip.skipped(*fault_of(error))
