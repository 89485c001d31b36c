import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import WhisperFeatureExtractor

from model_export.front_ends.log_mel import LogMel, valid_frames

# Shorter than half a window, than a window, around it, around a hop, and a second.
LENGTHS = [1, 150, 199, 201, 399, 400, 401, 559, 561, 1601, 16000]


def padded_with_garbage(waveforms: list[Tensor], extra_samples: int = 777) -> Tensor:
    longest = max(map(len, waveforms)) + extra_samples
    batch = torch.full((len(waveforms), longest), float("nan"))
    for row, waveform in zip(batch, waveforms, strict=True):
        row[: len(waveform)] = waveform
    return batch


@pytest.mark.parametrize("mel_bands", [80, 128])
def test_agrees_with_transformers_on_30_s(noise_and_tones, mel_bands: int) -> None:
    waveform = noise_and_tones(480_000)
    reference = WhisperFeatureExtractor(feature_size=mel_bands)
    expected = reference(waveform, sampling_rate=16000, return_tensors="np").input_features
    features, mel_lengths = LogMel(mel_bands)(
        torch.from_numpy(waveform)[None], torch.tensor([len(waveform)])
    )
    assert mel_lengths.tolist() == [3000]
    np.testing.assert_allclose(features, expected, atol=1e-3)


def test_batched_equals_alone(noise_and_tones) -> None:
    waveforms = [torch.from_numpy(noise_and_tones(length, length)) for length in LENGTHS]
    log_mel = LogMel(80)
    features, mel_lengths = log_mel(padded_with_garbage(waveforms), torch.tensor(LENGTHS))
    assert mel_lengths.tolist() == [-(-length // 160) for length in LENGTHS]
    for row, waveform, frames in zip(features, waveforms, mel_lengths, strict=True):
        alone, alone_lengths = log_mel(waveform[None], torch.tensor([len(waveform)]))
        assert alone.shape[2] == int(alone_lengths) == int(frames)
        torch.testing.assert_close(row[:, :frames], alone[0], atol=1e-5, rtol=1e-5)
        assert not row[:, frames:].any()


def test_the_floor_is_8_decades_under_the_own_maximum() -> None:
    loud_then_silent = torch.cat([torch.randn(8000) * 0.3, torch.zeros(8000)])
    features, _ = LogMel(80)(loud_then_silent[None], torch.tensor([16000]))
    assert float(features.max() - features.min()) == pytest.approx(8.0 / 4.0, abs=1e-5)


def test_digital_silence_is_finite() -> None:
    features, _ = LogMel(80)(torch.zeros(1, 3200), torch.tensor([3200]))
    assert features.isfinite().all()


def test_half_precision_waveforms_give_float32_features() -> None:
    features, _ = LogMel(80)(torch.randn(1, 1600).half(), torch.tensor([1600]))
    assert features.dtype is torch.float32


def test_valid_frames() -> None:
    assert valid_frames(torch.tensor([2, 0]), 3).tolist() == [[True, True, False], [False] * 3]
