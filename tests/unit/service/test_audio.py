import random
import struct
import time
from collections import Counter
from concurrent.futures import CancelledError
from contextlib import suppress
from tempfile import SpooledTemporaryFile

import numpy as np
import pytest
import soundfile
from audio_files import encode, wav

from service.audio import AudioLimits, decode_audio, is_silent
from service.containers import WAV_UNKNOWN_BYTES
from service.errors import (
    AudioTooLong,
    AudioTooShort,
    EmptyAudio,
    ServiceError,
    TruncatedAudio,
    UnsupportedAudio,
)

DURATION_S = 1.5
TONE_HZ = 440
AMPLITUDE = 0.5


def tone(rate_hz=48_000, duration_s=DURATION_S, frequency_hz=TONE_HZ):
    times_s = np.arange(round(rate_hz * duration_s)) / rate_hz
    return (AMPLITUDE * np.sin(2 * np.pi * frequency_hz * times_s)).astype(np.float32)


def with_data_bytes(content, size):
    """The same WAV file, but its header says another size."""
    place = content.index(b"data") + 4
    return content[:place] + struct.pack("<I", size) + content[place + 4 :]


def frequency_of(waveform):
    spectrum = np.abs(np.fft.rfft(waveform * np.hanning(waveform.size)))
    return spectrum.argmax() * 16_000 / waveform.size


def assert_is_the_tone(waveform, duration_s=DURATION_S, slack_s=0.0):
    assert waveform.dtype == np.float32
    assert waveform.ndim == 1
    assert waveform.size / 16_000 == pytest.approx(duration_s, abs=slack_s + 2e-4)
    assert frequency_of(waveform) == pytest.approx(TONE_HZ, abs=2)
    middle = waveform[waveform.size // 4 : -waveform.size // 4]
    assert np.sqrt(np.square(middle).mean()) == pytest.approx(AMPLITUDE / 2**0.5, rel=0.05)


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 22_050, 44_100, 48_000, 96_000])
def test_wav_of_every_depth_and_rate(subtype, rate_hz):
    assert_is_the_tone(decode_audio(wav(tone(rate_hz), rate_hz, subtype)))


@pytest.mark.parametrize("channels", range(1, 7))
def test_channels_are_averaged(channels):
    weights = np.arange(1, channels + 1) / channels
    samples = tone(16_000)[:, np.newaxis] * weights
    expected = tone(16_000) * weights.mean()
    found = decode_audio(wav(samples, subtype="FLOAT"))
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_samples_at_16_khz_pass_unchanged():
    samples = np.random.default_rng(0).uniform(-1, 1, 200_000).astype(np.float32)
    np.testing.assert_array_equal(decode_audio(wav(samples, subtype="FLOAT")), samples)


@pytest.mark.parametrize("subtype", ["ULAW", "ALAW", "IMA_ADPCM", "MS_ADPCM"])
def test_telephone_codecs_in_wav(subtype):
    assert_is_the_tone(decode_audio(wav(tone(8_000), 8_000, subtype)), slack_s=0.15)


@pytest.mark.parametrize(
    ("container", "codec"),
    [
        ("flac", "flac"),
        ("ogg", "flac"),
        ("ogg", "libopus"),
        ("mp3", "libmp3lame"),
        ("webm", "libopus"),
        ("matroska", "pcm_s24le"),
        ("mp4", "aac"),
        ("ipod", "aac"),  # .m4a
        ("adts", "aac"),
        ("aiff", "pcm_s16be"),
        ("au", "pcm_s16be"),
        ("w64", "pcm_s16le"),
        ("rf64", "pcm_s16le"),
    ],
)
@pytest.mark.parametrize("layout", ["mono", "stereo"])
def test_every_container_and_codec(container, codec, layout):
    options = {}
    if container == "rf64":
        container, options = "wav", {"rf64": "always"}
    content = encode(tone(), container, codec, rate_hz=48_000, layout=layout, **options)
    assert_is_the_tone(decode_audio(content), slack_s=0.05)


def test_ogg_vorbis():
    content = wav(tone(44_100), 44_100, "VORBIS", container="OGG")
    assert_is_the_tone(decode_audio(content), slack_s=0.05)


@pytest.mark.parametrize("movflags", ["faststart", "frag_keyframe+empty_moov"])
def test_mp4_laid_out_for_streaming(tmp_path, movflags):
    content = encode(
        tone(), "mp4", "aac", rate_hz=48_000, path=tmp_path / "a.mp4", movflags=movflags
    )
    assert_is_the_tone(decode_audio(content), slack_s=0.05)


@pytest.mark.parametrize("size", [0, WAV_UNKNOWN_BYTES, 0xFFFF_FFFF])
def test_wav_from_a_pipe_lasts_until_its_end(size):
    assert_is_the_tone(decode_audio(with_data_bytes(wav(tone(16_000)), size)))


def test_chunks_before_the_samples_are_walked():
    content = wav(tone(16_000))
    extra = b"LIST" + struct.pack("<I", 5) + b"INFOx\0"
    assert_is_the_tone(decode_audio(content[:12] + extra + content[12:]))


def test_tags_after_mp3_are_no_damage():
    content = encode(tone(), "mp3", "libmp3lame", rate_hz=48_000)
    assert_is_the_tone(decode_audio(content + b"TAG" + b"x" * 125), slack_s=0.05)


def test_tags_in_any_encoding_are_no_damage(tmp_path):
    path = tmp_path / "tone.flac"
    with soundfile.SoundFile(path, "w", 16_000, 1) as file:
        file.title = "UTF-8 TITLE"
        file.write(tone(16_000))
    content = path.read_bytes().replace(b"UTF-8 TITLE", b"\xff\xfe\xc3-8 TITLE")
    assert b"\xff\xfe\xc3" in content
    assert_is_the_tone(decode_audio(content))


def test_sources_may_be_paths_and_files(tmp_path):
    content = wav(tone(16_000))
    path = tmp_path / "tone.wav"
    path.write_bytes(content)
    expected = decode_audio(content)
    np.testing.assert_array_equal(decode_audio(path), expected)
    np.testing.assert_array_equal(decode_audio(str(path)), expected)
    with SpooledTemporaryFile() as file:
        file.write(content)
        np.testing.assert_array_equal(decode_audio(file), expected)
        assert not file.closed


def test_a_missing_path_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        decode_audio(tmp_path / "none.wav")


@pytest.mark.parametrize("container", ["WAV", "FLAC"])
def test_no_bytes_and_no_samples_are_empty(container):
    for content in (b"", wav(np.zeros(0, np.float32), container=container)):
        with pytest.raises(EmptyAudio):
            decode_audio(content)


def test_fewer_samples_than_the_model_needs_are_too_few():
    with pytest.raises(AudioTooShort) as caught:
        decode_audio(wav(np.zeros(1, np.float32)), AudioLimits(min_samples=400))
    assert (caught.value.found, caught.value.limit) == (1, 400)


PLAYLIST = b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n/etc/hostname\n#EXT-X-ENDLIST\n"


@pytest.mark.parametrize(
    "content",
    [
        b"Good morning, this is a text.\n" * 40,
        b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8,
        b"RIFF",
        b"RIFF\x00\x00\x00\x00WAVE",
        b"fLaC" + bytes(60),
        bytes(5000),
        b"%PDF-1.7\n" + bytes(3000),
        PLAYLIST,
        b"ffconcat version 1.0\nfile /etc/hostname\n",
    ],
)
def test_what_is_not_audio_is_unsupported(content):
    with pytest.raises(UnsupportedAudio):
        decode_audio(content)


@pytest.mark.parametrize(
    ("container", "codec"), [("wav", "pcm_s16le"), ("flac", "flac"), ("mp4", "aac")]
)
@pytest.mark.parametrize("kept", [0.5, 0.9, 0.99])
def test_a_broken_promise_of_the_header_is_told(tmp_path, container, codec, kept):
    options = {"movflags": "faststart"} if container == "mp4" else {}
    path = tmp_path / "audio"
    content = encode(tone(), container, codec, rate_hz=48_000, path=path, **options)
    with pytest.raises(TruncatedAudio) as caught:
        decode_audio(content[: int(kept * len(content))])
    assert 0 < caught.value.found < caught.value.limit


def test_damage_in_the_middle_is_told():
    content = bytearray(encode(tone(), "flac", "flac", rate_hz=48_000))
    middle = len(content) // 2
    content[middle : middle + 2000] = bytes(2000)
    with pytest.raises(TruncatedAudio):
        decode_audio(bytes(content))


@pytest.mark.parametrize(
    ("container", "codec"), [("wav", "pcm_s16le"), ("mp3", "libmp3lame"), ("webm", "libopus")]
)
def test_too_many_seconds_are_refused_while_decoding(container, codec):
    content = encode(tone(), container, codec, rate_hz=48_000)
    with pytest.raises(AudioTooLong) as caught:
        decode_audio(content, AudioLimits(max_duration_s=1.0))
    assert 1.0 < caught.value.found <= DURATION_S
    assert caught.value.limit == 1.0


def test_silence_that_unfolds_to_hours_is_refused_soon():
    silence = np.zeros(16_000 * 600, np.float32)
    content = encode(silence, "flac", "flac")
    started_s = time.perf_counter()
    with pytest.raises(AudioTooLong) as caught:
        decode_audio(content, AudioLimits(max_duration_s=5.0))
    assert time.perf_counter() - started_s < 1
    assert caught.value.found == pytest.approx(600, abs=1)


def test_a_forged_rate_does_not_hide_the_length():
    content = bytearray(wav(tone(16_000)))
    content[24:28] = struct.pack("<I", 192_000)
    assert decode_audio(bytes(content)).size == pytest.approx(16_000 * DURATION_S / 12, abs=2)
    for forged_hz in (1, 3_999, 192_001, 0xFFFF_FFFF):
        content[24:28] = struct.pack("<I", forged_hz)
        with pytest.raises((UnsupportedAudio, AudioTooLong)):
            decode_audio(bytes(content))


def test_too_many_channels_are_refused():
    with pytest.raises(UnsupportedAudio) as caught:
        decode_audio(wav(np.zeros((100, 17), np.float32)))
    assert (caught.value.found, caught.value.limit) == (17, 16)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e20])
def test_samples_that_are_no_levels_are_refused(value):
    samples = tone(16_000)
    samples[1000] = value
    with pytest.raises(UnsupportedAudio, match="full scale is 1"):
        decode_audio(wav(samples, subtype="FLOAT"))


def test_decoding_can_be_stopped():
    def stop(_):
        raise CancelledError

    with pytest.raises(CancelledError):
        decode_audio(wav(tone(16_000)), watch=stop)


def test_decoding_is_watched_from_the_first_block_to_the_last():
    seconds = []
    waveform = decode_audio(
        encode(tone(), "mp3", "libmp3lame", rate_hz=48_000), watch=seconds.append
    )
    assert seconds == sorted(seconds)
    assert (seconds[0], seconds[-1]) == (0, waveform.size / 16_000)
    assert len(seconds) > 10


@pytest.mark.parametrize(("container", "codec"), [("wav", "pcm_s16le"), ("flac", "flac")])
def test_a_promised_length_is_told_before_anything_is_decoded(container, codec):
    seconds = []
    decode_audio(encode(tone(), container, codec, rate_hz=48_000), watch=seconds.append)
    assert seconds[0] == pytest.approx(DURATION_S)


def test_damaged_files_end_in_samples_or_in_one_of_our_errors():
    rng = random.Random(0)
    outcomes = Counter()
    for container, codec in [
        ("wav", "pcm_s16le"),
        ("flac", "flac"),
        ("mp3", "libmp3lame"),
        ("ogg", "libopus"),
        ("webm", "libopus"),
        ("mp4", "aac"),
    ]:
        content = encode(tone(duration_s=0.5), container, codec, rate_hz=48_000)
        for _ in range(40):
            damaged = bytearray(content)
            for _ in range(rng.randint(1, 20)):
                damaged[rng.randrange(min(len(damaged), 2000))] = rng.randrange(256)
            try:
                decode_audio(bytes(damaged), AudioLimits(max_duration_s=60))
                outcomes["decoded"] += 1
            except ServiceError as error:
                outcomes[error.code] += 1
    assert outcomes["decoded"] > 0
    assert outcomes["unsupported_audio"] > 0


def test_libraries_keep_quiet_about_damage(capfd):
    content = bytearray(encode(tone(), "mp3", "libmp3lame", rate_hz=48_000))
    content[3000:3400] = bytes(400)
    with suppress(ServiceError):
        decode_audio(bytes(content))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(("level_db", "silent"), [(-80, True), (-57, True), (-53, False)])
@pytest.mark.parametrize("samples", [1, 1599, 1600, 16_000, 16_001])
def test_silence_is_a_matter_of_level(level_db, silent, samples):
    tone = np.resize([1, -1], samples).astype(np.float32) * 10 ** (level_db / 20)
    assert is_silent(tone) is silent


def test_a_single_sound_breaks_the_silence():
    waveform = np.zeros(160_000, np.float32)
    assert is_silent(waveform)
    waveform[80_000:80_800] = 0.01
    assert not is_silent(waveform)
