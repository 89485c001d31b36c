import numpy as np

from service.streaming.loudness import BLOCK_SAMPLES, Loudness

RATE_HZ = 16_000


def noise(seconds, level_db, seed=0):
    samples = np.random.default_rng(seed).standard_normal(int(seconds * RATE_HZ))
    return (samples * 10 ** (level_db / 20)).astype(np.float32)


def states(audio, loudness=None):
    loudness = loudness or Loudness()
    for first in range(0, audio.size, BLOCK_SAMPLES):
        loudness.add(audio[first : first + BLOCK_SAMPLES])
        yield loudness.is_silent, loudness.is_loud


def test_what_is_below_the_threshold_is_silence():
    assert set(states(noise(2, -65))) == {(True, False)}


def test_quiet_speech_is_no_silence():
    assert not any(silent for silent, _ in states(noise(2, -45)))


def test_steady_noise_becomes_silence_but_what_is_louder_stays_loud():
    loudness = Loudness()
    for _ in states(noise(11, -30), loudness):
        pass
    assert set(states(noise(2, -30, seed=1), loudness)) == {(True, False)}
    after = list(states(noise(1, -15, seed=2), loudness))[3:]
    assert set(after) == {(False, True)}


def test_loud_from_the_first_sample_is_not_taken_for_background():
    assert not any(silent for silent, _ in states(noise(9, -10)))
