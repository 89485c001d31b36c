import numpy as np
import pytest
import torch
from recordings import recordings
from torch import Tensor
from transformers import SeamlessM4TFeatureExtractor

from model_export.front_ends.filter_banks import FilterBanks
from service.arrays import FloatArray

# Of features with unit variance. Those of speech differ by 2e-6, the rounding of their logarithms;
# a band whose energy hardly varies is scaled up, and the rounding with it.
SPEECH_TOLERANCE, TOLERANCE = 1e-5, 1e-4
RATE_HZ = 16_000
SPEECH = [recording.waveform() for recording in recordings()]


def noise(level: float, samples: int = 32_123) -> FloatArray:
    """White noise `[samples]`."""
    generator = np.random.default_rng(samples)
    return (level * generator.standard_normal(samples)).astype(np.float32)


def features_of(waveform: FloatArray, bands: int = 80) -> FloatArray:
    """What we make of one waveform: `[mel_frames, bands]`."""
    with torch.inference_mode():
        features, mel_lengths = FilterBanks(bands)(
            torch.from_numpy(waveform)[None], torch.tensor([len(waveform)])
        )
    assert mel_lengths.tolist() == [features.shape[1]]
    return features[0].numpy()


def expected_of(waveform: FloatArray, bands: int = 80) -> FloatArray:
    """What transformers makes of it, unstacked, without what it fills an odd length up with."""
    extractor = SeamlessM4TFeatureExtractor(feature_size=bands, num_mel_bins=bands)
    made = extractor(waveform, sampling_rate=RATE_HZ, return_tensors="np").input_features
    return made.reshape(-1, bands)[: (len(waveform) - 400) // 160 + 1]


def batch_of(waveforms: list[FloatArray]) -> tuple[Tensor, Tensor]:
    """A batch with nothing in its padding that can be computed with, and its lengths."""
    batch = torch.full((len(waveforms), max(map(len, waveforms)) + 777), float("nan"))
    for row, waveform in zip(batch, waveforms, strict=True):
        row[: len(waveform)] = torch.from_numpy(waveform)
    return batch, torch.tensor([*map(len, waveforms)])


@pytest.mark.parametrize("waveform", SPEECH, ids=range(len(SPEECH)))
def test_speech_as_in_transformers(waveform: FloatArray) -> None:
    np.testing.assert_allclose(features_of(waveform), expected_of(waveform), atol=SPEECH_TOLERANCE)


def test_another_number_of_bands() -> None:
    found, expected = features_of(SPEECH[1], 40), expected_of(SPEECH[1], 40)
    np.testing.assert_allclose(found, expected, atol=SPEECH_TOLERANCE)


MADE = {
    "noise": noise(0.3),
    "near silence": noise(1e-6),
    "faint noise on a large offset": 0.5 + noise(1e-4),
    "speech, then digital silence": np.pad(SPEECH[0][:20_000], (0, 9000)),
    "clipped": np.clip(4 * SPEECH[0][:30_000], -1, 1),
    "two frames": noise(0.1, 560),
    "two frames, nearly three": noise(0.1, 719),
    "three frames": noise(0.1, 720),
}


@pytest.mark.parametrize("waveform", MADE.values(), ids=MADE)
def test_anything_else_as_in_transformers(waveform: FloatArray) -> None:
    np.testing.assert_allclose(features_of(waveform), expected_of(waveform), atol=TOLERANCE)


@pytest.mark.parametrize("level", [0.0, 1e-9, 0.3])
def test_what_never_changes_has_no_features(level: float) -> None:
    # transformers' own are 3e-3 here: its mean of equal float32 values is not that value.
    assert not features_of(np.full(9000, level, np.float32)).any()


def test_batched_equals_alone() -> None:
    waveforms = [noise(0.1, 560), *SPEECH[:4], np.zeros(4000, np.float32)]
    features, mel_lengths = FilterBanks(80)(*batch_of(waveforms))
    assert mel_lengths.tolist() == [(len(waveform) - 400) // 160 + 1 for waveform in waveforms]
    for row, waveform, frames in zip(features, waveforms, mel_lengths, strict=True):
        np.testing.assert_allclose(row[:frames], features_of(waveform), atol=TOLERANCE)
        assert not row[frames:].any()


def test_half_precision_waveforms_give_float32_features() -> None:
    features, _ = FilterBanks(80)(torch.randn(1, 1600).half(), torch.tensor([1600]))
    assert features.dtype is torch.float32
