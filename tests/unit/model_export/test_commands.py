import pytest
from recordings import SPEECH

from model_export import commands
from model_export.cli import main
from service.config import PACKAGED_BUNDLE


def test_a_limit_that_leaves_no_clip_is_one_clear_line(capsys: pytest.CaptureFixture[str]) -> None:
    manifest = str(SPEECH / "manifest.jsonl")
    assert main(["evaluate", str(PACKAGED_BUNDLE), manifest, "--min-seconds", "99"]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("wsm-export: ")
    assert error.endswith("has no clip of 99 s or more")


def test_an_interrupt_is_one_clear_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(commands, "inspect", interrupt)
    assert main(["inspect", "anything"]) == 130
    assert capsys.readouterr().err == "wsm-export: interrupted\n"


def test_the_options_of_fine_tuning_come_in_groups(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["finetune", "--help"])
    printed = capsys.readouterr().out
    groups = ["data:", "model:", "training:", "speed and memory:", "record:"]
    assert [line for line in printed.splitlines() if line in groups] == groups


def test_a_count_of_nothing_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["finetune", "--train", "a", "--dev", "b", "--out", "c", "--accumulate", "0"])
    assert "0 is not at least 1" in capsys.readouterr().err
