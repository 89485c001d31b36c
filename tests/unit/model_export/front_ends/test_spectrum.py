import numpy as np
import pytest
import torch
from transformers.audio_utils import window_function

from model_export.front_ends.spectrum import PowerSpectrum, overlapping_windows


@pytest.mark.parametrize(
    ("window", "periodic", "fft_samples"), [("hann", True, 400), ("povey", False, 512)]
)
def test_it_is_the_power_of_the_fourier_transform(
    noise_and_tones, window: str, periodic: bool, fft_samples: int
) -> None:
    samples = noise_and_tones(2 * 3 * 400).reshape(2, 3, 400)
    weights = window_function(400, window, periodic=periodic)
    expected = np.abs(np.fft.rfft(weights * samples, n=fft_samples)) ** 2
    assert expected.dtype == np.float64
    power = PowerSpectrum(window, periodic=periodic, fft_samples=fft_samples)(
        torch.from_numpy(samples)
    )
    np.testing.assert_allclose(power, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("width", "hop"), [(400, 160), (25, 10), (6, 6), (3, 5)])
@pytest.mark.parametrize("count", [1, 2, 9])
def test_windows_overlap(width: int, hop: int, count: int) -> None:
    samples = (count - 1) * hop + width
    waveforms = torch.arange(2.0 * (samples + 7)).reshape(2, -1)
    for given in (waveforms, waveforms[:, :samples]):
        windows = overlapping_windows(given, count, width, hop)
        assert torch.equal(windows, given.unfold(1, width, hop)[:, :count])
