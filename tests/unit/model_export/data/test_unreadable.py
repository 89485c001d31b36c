from pathlib import Path

import pytest
from recordings import SPEECH

from model_export.data import Clip
from model_export.data.unreadable import ClipReader


def test_an_unreadable_clip_is_told_once_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    read = ClipReader()
    gone, broken = (Clip(tmp_path / name, "a", 1.0) for name in ("gone.wav", "broken.wav"))
    broken.audio.write_bytes(b"not audio")
    assert read(Clip(SPEECH / "librivox-0880.flac", "a", None)).shape == (47840,)
    for clip in (gone, broken, gone):
        assert read(clip) is None
    assert read.unreadable == {gone, broken}
    assert [record.getMessage()[:20] for record in caplog.records] == [
        "left out, 1 so far: ",
        "left out, 2 so far: ",
    ]
