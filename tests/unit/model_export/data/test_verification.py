from dataclasses import replace
from pathlib import Path

import pytest
from audio_files import wav
from recordings import SPEECH

from model_export.data import (
    Clip,
    Corpus,
    Reason,
    Skipped,
    read_verdicts,
    verify_audio,
    write_verdicts,
)
from model_export.data.recordings import FileSegment
from model_export.errors import ManifestInvalid

FLAC = SPEECH / "librivox-0880.flac"
FLAC_S = 2.99


def corpus(*clips: Clip) -> Corpus:
    return Corpus(clips, ())


@pytest.mark.parametrize("stated_s", [None, 2.95, 2.99, 0.5, 60.0])
def test_every_clip_gets_its_real_duration(stated_s: float | None) -> None:
    verified = verify_audio(corpus(Clip(FLAC, "a", stated_s)), "train")
    assert verified.clips[0].seconds == pytest.approx(FLAC_S, abs=0.1)
    assert verified.corrected == (stated_s in (0.5, 60.0))


def test_the_order_stays() -> None:
    files = sorted(SPEECH.glob("*.*a*")) * 4
    clips = [Clip(path, str(number), None) for number, path in enumerate(files)]
    verified = verify_audio(corpus(*clips), "train")
    assert [(clip.audio, clip.text) for clip in verified.clips] == [
        (clip.audio, clip.text) for clip in clips
    ]


@pytest.mark.parametrize("stated_s", [None, FLAC_S])
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, Reason.MISSING_AUDIO),
        (b"", Reason.UNREADABLE_AUDIO),
        (b"not audio", Reason.UNREADABLE_AUDIO),
        (FLAC.read_bytes()[:20000], Reason.UNREADABLE_AUDIO),
        ("long", Reason.TOO_LONG),
    ],
)
def test_what_cannot_be_read_is_skipped(
    tmp_path: Path,
    content: bytes | str | None,
    reason: Reason,
    stated_s: float | None,
    noise_and_tones,
) -> None:
    path = tmp_path / "clip.flac"
    if content == "long":
        path.write_bytes(wav(noise_and_tones(7201 * 20), rate_hz=20))
    elif content is not None:
        path.write_bytes(content)
    earlier = Skipped("rows.csv:2", Reason.EMPTY_TEXT, "")
    bad = Clip(path, "bad", stated_s, place="rows.csv:3")
    found = verify_audio(replace(corpus(Clip(FLAC, "a", None), bad), skipped=(earlier,)), "train")
    assert [clip.text for clip in found.clips] == ["a"]
    assert [row.place for row in found.skipped] == ["rows.csv:2", "rows.csv:3"]
    assert found.skipped[1].reason == reason


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", Reason.MISSING_AUDIO),  # a folder
        ("gone/clip.wav", Reason.MISSING_AUDIO),
        ("x" * 5000, Reason.UNREADABLE_AUDIO),
        ("a\0b", Reason.UNREADABLE_AUDIO),
    ],
)
def test_odd_names_are_skipped(tmp_path: Path, name: str, reason: Reason) -> None:
    odd = (Clip(tmp_path / name, "b", 1.0), Clip(FileSegment(tmp_path / name, 0, 1), "c", None))
    found = verify_audio(corpus(Clip(FLAC, "a", None), *odd), "train")
    assert [row.reason for row in found.skipped] == [reason, reason]


def test_segments_must_lie_inside() -> None:
    inside, overshooting, outside = (
        Clip(FileSegment(FLAC, start_s, end_s), f"{start_s}", None)
        for start_s, end_s in ((0.0, 2.0), (1.0, 3.2), (2.0, 5.0))
    )
    found = verify_audio(corpus(inside, overshooting, outside), "train")
    assert [clip.seconds for clip in found.clips] == [2.0, pytest.approx(1.99)]
    assert "the recording lasts 2.99 s" in found.skipped[0].detail


def test_nothing_readable_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ManifestInvalid, match=r"no recording of dev can be read; 1 skipped"):
        verify_audio(corpus(Clip(tmp_path / "gone.wav", "a", None)), "dev")


def test_verdicts_are_kept_for_a_resumed_run(tmp_path: Path) -> None:
    readable, broken = tmp_path / "readable.flac", tmp_path / "broken.flac"
    readable.write_bytes(FLAC.read_bytes())
    before = corpus(Clip(readable, "a", 9.0, place="rows:1"), Clip(broken, "b", None))
    first = verify_audio(before, "train")
    record = tmp_path / "new" / "verified.json"
    assert read_verdicts(record) == {}
    write_verdicts(record, before, first)

    broken.write_bytes(readable.read_bytes())
    readable.unlink()
    again = verify_audio(before, "train", read_verdicts(record))
    assert again == first
    assert [clip.text for clip in verify_audio(before, "train").clips] == ["b"]
