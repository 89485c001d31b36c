from pathlib import Path

import pytest
from recordings import SPEECH

from model_export.data import Clip, Corpus
from model_export.training.resuming import claim_run
from model_export.training.run_clips import verified_once


def test_clips_are_verified_anew_until_the_run_begins(tmp_path: Path) -> None:
    path, out = tmp_path / "clip.flac", tmp_path / "out"
    good = Clip(SPEECH / "librivox-0880.flac", "a", None)
    corpus = Corpus((good, Clip(path, "b", None)), ())

    def found() -> list[str]:
        return [clip.text for clip in verified_once(corpus, "train", out).clips]

    assert found() == ["a"]
    path.write_bytes(good.audio.read_bytes())
    assert found() == ["a", "b"]
    claim_run(out, {})
    path.unlink()
    assert found() == ["a", "b"]


def test_other_processes_take_over_what_the_main_one_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "clip.flac"
    path.write_bytes((SPEECH / "librivox-0880.flac").read_bytes())
    corpus = Corpus((Clip(path, "b", None),), ())
    first = verified_once(corpus, "train", tmp_path)
    path.unlink()
    monkeypatch.setattr("accelerate.PartialState.is_main_process", False)
    assert verified_once(corpus, "train", tmp_path) == first
