import shutil
from pathlib import Path

import pytest
from recordings import SPEECH

from model_export import bases, commands
from model_export.checkpoint import ModelSpec
from model_export.cli import main
from model_export.errors import ManifestInvalid
from service.config import PACKAGED_BUNDLE


def test_a_limit_that_leaves_no_clip_is_one_clear_line(capsys: pytest.CaptureFixture[str]) -> None:
    manifest = str(SPEECH / "manifest.jsonl")
    assert main(["evaluate", str(PACKAGED_BUNDLE), manifest, "--min-seconds", "99"]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("wsm-export: ")
    assert error.endswith("has no clip of 99 s or more")


def test_revision_and_commit_of_a_base_are_recorded(
    monkeypatch: pytest.MonkeyPatch, whisper_base: Path, tmp_path: Path
) -> None:
    snapshot = tmp_path / "models--someone--a-model" / "snapshots" / ("0a" * 20)
    shutil.copytree(whisper_base, snapshot)
    asked: list[ModelSpec] = []

    def start(spec: ModelSpec, **_: object) -> None:
        asked.append(spec)
        raise ManifestInvalid("seen enough")

    known = {("someone/a-model", "v1"): snapshot}
    monkeypatch.setattr(bases, "fetch", lambda *request: known[request])
    monkeypatch.setattr(commands, "FineTuning", start)
    manifest = str(SPEECH / "manifest.jsonl")
    options = ["--base", "someone/a-model", "--revision", "v1", "--replace", "last:1"]
    options += ["--train", manifest, "--dev", manifest, "--out", str(tmp_path / "out")]
    assert main(["finetune", *options]) == 2
    (spec,) = asked
    assert (spec.base, spec.base_revision) == ("someone/a-model", "v1")
    assert spec.base_commit == "0a" * 20
