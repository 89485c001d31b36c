from pathlib import Path

import numpy as np
import pytest
import soundfile
from audio_files import encode

from model_export.data.recordings import FileSegment, digests_of, load_waveform, packets_s
from model_export.errors import ManifestInvalid


class Stored:
    """Audio bytes that lie in no file of their own."""

    name = "stored"

    def __init__(self, content: bytes | None) -> None:
        self._content = content

    def read_bytes(self) -> bytes:
        if self._content is None:
            raise FileNotFoundError("gone")
        return self._content


@pytest.fixture
def clip(tmp_path: Path, noise_and_tones) -> Path:
    """Three seconds at 16 kHz."""
    path = tmp_path / "clip.wav"
    soundfile.write(path, noise_and_tones(48000), 16000, subtype="FLOAT")
    return path


def test_any_rate_and_channels_become_16_khz_mono(tmp_path: Path) -> None:
    path = tmp_path / "stereo.wav"
    soundfile.write(path, np.full((8000, 2), [0.5, 0.25]), 8000, subtype="FLOAT")
    waveform = load_waveform(path)
    assert waveform.dtype == np.float32
    assert waveform.shape == (16000,)
    np.testing.assert_allclose(waveform[4000:12000], 0.375, atol=1e-3)


@pytest.mark.parametrize("content", [None, b"", b"not audio at all"])
def test_what_cannot_be_decoded_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "clip.wav"
    if content is not None:
        path.write_bytes(content)
    for audio in (path, FileSegment(path, 0.0, 1.0)):
        with pytest.raises(ManifestInvalid, match=r"clip\.wav.* cannot be decoded"):
            load_waveform(audio)
    with pytest.raises(ManifestInvalid, match="cannot be decoded"):
        load_waveform(Stored(content))


def test_stored_bytes_are_decoded(clip: Path) -> None:
    stored = Stored(clip.read_bytes())
    np.testing.assert_array_equal(load_waveform(stored), load_waveform(clip))
    assert packets_s(stored) == packets_s(clip) == 3.0


@pytest.mark.parametrize("container", ["wav", "mp4"])
def test_a_segment_is_that_part_of_the_recording(
    clip: Path, tmp_path: Path, container: str
) -> None:
    """libsndfile does not read the latter, which is decoded as a whole."""
    path = clip
    if container == "mp4":
        path = tmp_path / "clip.m4a"
        encode(load_waveform(clip), "mp4", "aac", path=path)
    whole = load_waveform(path)
    for start_s, end_s in ((0.0, 0.5), (1.25, 2.0), (2.5, 3.4), (1.0, None)):
        end = None if end_s is None else int(end_s * 16000)
        part = load_waveform(FileSegment(path, start_s, end_s))
        np.testing.assert_array_equal(part, whole[int(start_s * 16000) : end])


@pytest.mark.parametrize(("start_s", "end_s"), [(2.0, 3.6), (3.2, 3.3), (2.0, 2.0), (3.0, None)])
def test_a_segment_outside_its_recording_is_an_error(
    clip: Path, start_s: float, end_s: float | None
) -> None:
    with pytest.raises(ManifestInvalid, match=r"lasts 3\.00 s; the segment is not inside it"):
        load_waveform(FileSegment(clip, start_s, end_s))


def test_digests_follow_bytes_and_times(clip: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.wav"
    copy.write_bytes(clip.read_bytes())
    stored, gone = Stored(clip.read_bytes()), Stored(None)
    first, second = (FileSegment(clip, 0.0, end_s) for end_s in (1.0, 2.0))
    audios = (clip, copy, stored, first, second, gone, tmp_path / "gone.wav")
    digests = digests_of(audios)
    assert digests[0] == digests[1] == digests[2]
    assert len({*digests[2:6]}) == 4
    assert digests[5] == digests[6]
    copy.write_bytes(b"other")
    assert digests_of([copy]) != digests[:1]


def test_names_of_segments_differ(tmp_path: Path) -> None:
    segments = (FileSegment(tmp_path / "a.wav", 1.0, end_s) for end_s in (2.5, None))
    assert [segment.name for segment in segments] == ["a.wav@1-2.5", "a.wav@1-"]


def test_what_is_no_audio_has_no_packets() -> None:
    with pytest.raises(ManifestInvalid, match="is not audio that we read"):
        packets_s(Stored(b"not audio"))
