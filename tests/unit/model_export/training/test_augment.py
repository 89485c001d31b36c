import numpy as np
import pytest

from model_export.training.augment import WaveformAugmenter


def test_a_seed_gives_one_result(noise_and_tones) -> None:
    waveform = noise_and_tones(16000)
    first = WaveformAugmenter()(waveform, 7)
    augmenter = WaveformAugmenter()
    augmenter(waveform, 8)
    np.testing.assert_array_equal(augmenter(waveform, 7), first)


def test_seeds_differ_and_waveforms_stay_in_range(noise_and_tones) -> None:
    waveform = noise_and_tones(16000)
    untouched = waveform.copy()
    results = [WaveformAugmenter(1.12)(waveform, seed) for seed in range(20)]
    assert len({result.tobytes() for result in results}) > 17  # little may happen to two alike
    for result in results:
        assert result.dtype == np.float32
        assert np.abs(result).max() <= 1.0
        assert 0.9 <= len(result) / 16000 <= 1.12
    np.testing.assert_array_equal(waveform, untouched)


def test_pauses_surround_some_and_keep_to_the_longest(noise_and_tones) -> None:
    waveform = noise_and_tones(16000)
    lengths = [len(WaveformAugmenter(5.0)(waveform, seed)) for seed in range(100)]
    unpaused = {14545, 16000, 17778}
    assert set(lengths) >= unpaused
    assert 10 < sum(length not in unpaused for length in lengths) < 45
    assert 4 * 16000 < max(lengths) <= 5 * 16000
    assert max(len(WaveformAugmenter(None)(waveform, seed)) for seed in range(30)) > 8 * 16000


@pytest.mark.parametrize("samples", [400, 1000])
def test_short_and_silent_waveforms_survive(samples: int) -> None:
    for seed in range(20):
        result = WaveformAugmenter()(np.zeros(samples, dtype=np.float32), seed)
        assert np.isfinite(result).all()
