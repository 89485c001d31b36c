"""`wsm-export synthesise` as a process, with a program in flite's place that is quick and free."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from patience import PATIENCE_S

from model_export import cli

COMMAND = [sys.executable, "-m", "model_export.cli", "synthesise"]
KILLED_AT = 4  # sentences
# What flite is asked: -voice V --setf S -t TEXT -o FILE. It notes the text, and speaks a tone.
SPEAKER = """#!{python}
import os, sys, wave
text, file = sys.argv[6], sys.argv[8]
with open({log!r}, "a") as log:
    log.write(text + "\\n")
if len(open({log!r}).readlines()) == {killed_at} and os.path.exists({gate!r}):
    os.read(os.open({gate!r}, os.O_RDONLY), 1)
with wave.open(file, "wb") as sound:
    sound.setparams((1, 2, 16000, 0, "NONE", ""))
    sound.writeframes(bytes([0, 10, 0, 245]) * 8000)
"""


@pytest.fixture
def text(tmp_path: Path) -> Path:
    words = ["one", "two", "three", "four", "five", "six", "seven", "eight"]
    (tmp_path / "text.txt").write_text("\n".join(f"Say number {word} now." for word in words))
    return tmp_path / "text.txt"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "bin").mkdir()
    os.mkfifo(tmp_path / "gate")
    program = tmp_path / "bin" / "flite"
    places = {"log": str(tmp_path / "log"), "gate": str(tmp_path / "gate")}
    program.write_text(SPEAKER.format(python=sys.executable, killed_at=KILLED_AT, **places))
    program.chmod(0o755)
    return os.environ | {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}


def arguments(text: Path, out: Path, *more: str) -> list[str]:
    voices = ("--voices", "flite:slt", "--dev-voices", "flite:rms", "--dev-clips", "2")
    amount = ("--hours", "0.0018", "--sentences", "1:1", "--speeds", "1:1", "--jobs", "1")
    return [*COMMAND, str(text), "--out", str(out), *voices, *amount, *more]


def opened_by_another(gate: Path, process: subprocess.Popen[bytes]) -> int:
    """Wait until a program waits at the gate; the process must not end before."""
    while process.poll() is None:
        with contextlib.suppress(OSError):
            return os.open(gate, os.O_WRONLY | os.O_NONBLOCK)
    raise AssertionError(f"the process ended with {process.returncode}")


def test_a_killed_run_goes_on_where_it_was(tmp_path: Path, text: Path, environment) -> None:
    out, log = tmp_path / "out", tmp_path / "log"
    killed = subprocess.Popen(arguments(text, out), env=environment, start_new_session=True)
    gate = opened_by_another(tmp_path / "gate", killed)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait(PATIENCE_S)
    os.close(gate)
    (tmp_path / "gate").unlink()
    said_before = log.read_text().splitlines()
    assert not (out / "manifest.jsonl").exists()

    again = subprocess.run(
        arguments(text, out), env=environment, capture_output=True, text=True, timeout=PATIENCE_S
    )
    assert again.returncode == 0, again.stderr
    said_after = log.read_text().splitlines()[len(said_before) :]
    assert not set(said_before[:-1]) & set(said_after)
    rows = [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()]
    assert sorted(row["text"] for row in rows) == sorted(said_before[:-1] + said_after)
    assert {row["split"] for row in rows if row["speaker"] == "flite:rms"} == {"dev"}
    assert "manifest.jsonl: dev 0.00 h, train 0.00 h" in again.stdout


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--seed", "2"), "begun with seed = 0, not 2"),
        (("--voices", "kokoro:af_heart"), "Kokoro needs --kokoro-model"),
        (("--voices", "loud:x"), "no engine is called 'loud'"),
        (("--voices", "flite:rms"), "flite:rms cannot speak in train and in dev"),
        (("--hours", "9"), "the sentences last for about"),
    ],
)
def test_mistakes_are_one_line(text: Path, environment, monkeypatch, capsys, more, message) -> None:
    tmp_path = text.parent
    (tmp_path / "gate").unlink()
    monkeypatch.setenv("PATH", environment["PATH"])
    command = arguments(text, tmp_path / "out")[len(COMMAND) - 1 :]
    assert cli.main(command) == 0
    assert cli.main([*command, *more]) == 2
    lines = capsys.readouterr().err.splitlines()
    (line,) = [line for line in lines if line.startswith("wsm-export: ")]
    assert message in line
