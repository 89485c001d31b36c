import numpy as np
import pytest

from service.bundle import Vocabulary
from service.lone_sounds import LEAST_CONTRAST_DB, LONGEST_S, without_lone_sounds

VOCABULARY = Vocabulary(tokens=("_", "|", "a", "b"), blank_id=0, word_delimiter="|")
HOP, RATE_HZ = 320, 16_000
FRAMES_PER_S = RATE_HZ // HOP


def logits_of(seconds, *letters_s):
    """Logits that say a letter at each of these times, and else nothing."""
    labels = np.zeros(round(seconds * FRAMES_PER_S), int)
    labels[[round(at_s * FRAMES_PER_S) for at_s in letters_s]] = 2
    return np.eye(4, dtype=np.float32)[labels] * 9


def sound(seconds, *louder_s, by_db=0.0):
    """Noise that is louder for 0.3 s around each of these times."""
    noise = 0.01 * np.random.default_rng(0).standard_normal(round(seconds * RATE_HZ))
    for at_s in louder_s:
        noise[round((at_s - 0.15) * RATE_HZ) : round((at_s + 0.15) * RATE_HZ)] *= 10 ** (by_db / 20)
    return noise.astype(np.float32)


def said_s(logits, waveform):
    """When letters are left."""
    left = without_lone_sounds(
        logits, waveform, VOCABULARY, samples_per_frame=HOP, sample_rate_hz=RATE_HZ
    )
    assert left.shape == logits.shape
    return (np.flatnonzero(left.argmax(axis=1)) / FRAMES_PER_S).tolist()


def test_a_sound_as_loud_as_its_surroundings_is_no_word():
    assert said_s(logits_of(6, 3), sound(6)) == []


@pytest.mark.parametrize(("above_db", "is_left"), [(-3, False), (3, True)])
def test_a_word_stands_out(above_db, is_left):
    waveform = sound(6, 3, by_db=LEAST_CONTRAST_DB + above_db)
    assert said_s(logits_of(6, 3), waveform) == [3] * is_left


def test_a_quiet_word_in_silence_stays():
    waveform = 1e-3 * sound(6, 3, by_db=20)
    assert said_s(logits_of(6, 3), waveform) == [3]


def test_each_is_judged_by_what_is_around_it():
    waveform = sound(20, 3, by_db=20)
    waveform[10 * RATE_HZ :] *= 10
    assert said_s(logits_of(20, 3, 16), waveform) == [3]


def test_longer_speech_in_loud_noise_stays():
    letters_s = np.arange(2, 2 + LONGEST_S + 0.2, 0.2).round(2).tolist()
    assert said_s(logits_of(6, *letters_s), sound(6)) == pytest.approx(letters_s)


def test_without_surroundings_there_is_nothing_to_compare_with():
    assert said_s(logits_of(0.5, 0.2), sound(0.5)) == [0.2]


@pytest.mark.parametrize("extra_samples", [-HOP // 2, 0, HOP])
def test_the_last_frame_need_not_be_whole(extra_samples):
    waveform = sound(6 + extra_samples / RATE_HZ)
    assert said_s(logits_of(6, 5.98), waveform) == []


@pytest.mark.parametrize("seconds", [0, 3])
def test_where_nothing_is_said_nothing_changes(seconds):
    logits = logits_of(seconds)
    found = without_lone_sounds(
        logits, sound(seconds), VOCABULARY, samples_per_frame=HOP, sample_rate_hz=RATE_HZ
    )
    assert found is logits
