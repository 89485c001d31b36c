import pytest
from recordings import SPEECH

from model_export.cli import main
from service.config import PACKAGED_BUNDLE


def test_a_limit_that_leaves_no_clip_is_one_clear_line(capsys: pytest.CaptureFixture[str]) -> None:
    manifest = str(SPEECH / "manifest.jsonl")
    assert main(["evaluate", str(PACKAGED_BUNDLE), manifest, "--min-seconds", "99"]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("wsm-export: ")
    assert error.endswith("has no clip of 99 s or more")
