import random

import numpy as np
import pytest
import recordings

from model_export.data.recordings import load_waveform
from model_export.training.channels import CODECS, Codec, Rooms, through_any_codec, through_codec
from service.arrays import FloatArray

SPEECH = recordings.SPEECH / "librivox-0880.flac"


@pytest.fixture(scope="module")
def speech() -> FloatArray:
    """Three seconds of a reader."""
    return load_waveform(SPEECH)


def loudness(waveform: FloatArray, tenth_s: int = 1600) -> FloatArray:
    """Root mean square of each tenth of a second."""
    whole = waveform[: len(waveform) // tenth_s * tenth_s].reshape(-1, tenth_s)
    return np.sqrt(np.mean(np.square(whole), axis=1))


@pytest.mark.parametrize("codec", CODECS, ids=lambda codec: codec.name)
def test_what_a_codec_gives_is_the_same_speech_otherwise(speech: FloatArray, codec: Codec) -> None:
    for bit_rate in codec.bit_rates or (None,):
        heard = through_codec(speech, codec, bit_rate)
        assert heard.shape == speech.shape
        assert heard.dtype == np.float32
        assert not np.array_equal(heard, speech)
        assert np.corrcoef(loudness(heard), loudness(speech))[0, 1] > 0.9


def test_telephone_codecs_have_no_high_frequencies(speech: FloatArray) -> None:
    def share_above_4_khz(waveform: FloatArray) -> float:
        power = np.abs(np.fft.rfft(waveform)) ** 2
        return float(power[len(power) // 2 :].sum() / power.sum())

    for codec in CODECS:
        share = share_above_4_khz(through_codec(speech, codec, next(iter(codec.bit_rates), None)))
        if codec.rate_hz == 8_000:
            assert share < share_above_4_khz(speech) / 10


@pytest.mark.parametrize("samples", [100, 400])
def test_the_shortest_waveforms_survive_every_codec(samples: int) -> None:
    for codec in CODECS:
        heard = through_codec(np.full(samples, 0.1, dtype=np.float32), codec, None)
        assert heard.shape == (samples,)
        assert np.isfinite(heard).all()


def test_a_draw_gives_one_codec(speech: FloatArray) -> None:
    heard = [through_any_codec(speech, random.Random(seed)) for seed in (1, *range(1, 9))]
    assert np.array_equal(heard[0], heard[1])
    assert len({waveform.tobytes() for waveform in heard}) > 2


def test_a_room_echoes_and_is_as_loud_as_before(speech: FloatArray) -> None:
    random.seed(0)
    np.random.seed(0)
    spoken = np.concatenate([speech, np.zeros(4000, dtype=np.float32)])
    heard = Rooms()(spoken)
    assert heard.shape == spoken.shape
    assert np.mean(np.square(heard)) == pytest.approx(np.mean(np.square(spoken)), rel=1e-3)
    assert not spoken[-3000:].any()
    assert heard[-3000:].any()


def test_a_room_leaves_silence_alone() -> None:
    silence = np.zeros(800, dtype=np.float32)
    assert np.array_equal(Rooms()(silence), silence)
