import shutil
from pathlib import Path

import numpy as np
import pytest

from model_export.errors import SynthesisFailed, SynthesisRefused
from model_export.synthesis.engines import PROGRAMS, Program

VOICES = {"flite": "slt", "rhvoice": "bdl", "pico": "en-GB", "espeak": "en"}
TEXT = "Three & four <are> seven, isn't it?"


@pytest.fixture(params=VOICES)
def name(request: pytest.FixtureRequest) -> str:
    """An engine that is installed here."""
    if shutil.which(PROGRAMS[request.param].name) is None:
        pytest.skip(f"{PROGRAMS[request.param].packages} is not installed")
    return request.param


def test_programs_speak_faster_when_told_to(name: str) -> None:
    lengths_s = []
    for speed in (0.8, 1.25):
        waveform, rate_hz = PROGRAMS[name](TEXT, VOICES[name], speed)
        assert waveform.dtype == np.float32
        assert np.abs(waveform).max() > 0.05
        lengths_s.append(len(waveform) / rate_hz)
    assert 1.2 < lengths_s[0] / lengths_s[1] < 1.9


def script(folder: Path, body: str) -> Program:
    path = folder / "speak"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return Program(str(path), "speak-package", lambda text, voice, speed, file: [str(file)])


@pytest.mark.parametrize("body", ["exit 3", "true", "printf garbage > $1"])
def test_a_program_that_fails_is_one_clear_error(tmp_path: Path, body: str) -> None:
    with pytest.raises(SynthesisFailed, match="speak with voice low: "):
        script(tmp_path, body)("hello", "low", 1.0)


def test_an_absent_program_is_refused_with_its_package() -> None:
    absent = Program("no-such-program", "that-package", lambda *_: [])
    with pytest.raises(SynthesisRefused, match=r"no-such-program .* apt install that-package"):
        absent.require()
