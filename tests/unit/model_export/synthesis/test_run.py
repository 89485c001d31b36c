import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from model_export.data import read_corpus
from model_export.errors import SynthesisFailed, SynthesisRefused
from model_export.synthesis.plan import Passage, Utterance
from model_export.synthesis.run import claim_folder, speak
from service.arrays import FloatArray
from service.bundle import TextNormalisation

PLAN = [
    Utterance(Passage(f"This is number {word}.", "numbers"), split, "tones", "low", 1.0)
    for word, split in [("one", "dev"), ("two", "train"), ("three", "train"), ("four", "train")]
]
RATE_HZ = 22_050


class Tones:
    """An engine whose voice is a tone, one second long."""

    def __init__(self, *, refuses: str = "none", stops_at: str = "none") -> None:
        self.spoken: list[str] = []
        self._refuses, self._stops_at = refuses, stops_at
        self._lock = threading.Lock()

    def __call__(self, text: str, voice: str, speed: float) -> tuple[FloatArray, int]:
        if self._stops_at in text:
            raise KeyboardInterrupt
        if self._refuses in text:
            raise SynthesisFailed("it cannot be said")
        with self._lock:
            self.spoken.append(text)
        times_s = np.arange(RATE_HZ, dtype=np.float32) / RATE_HZ
        return np.sin(2 * np.pi * 200 * times_s).astype(np.float32), RATE_HZ


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_manifest_can_be_trained_on(tmp_path: Path) -> None:
    spoken = speak(PLAN, {"tones": Tones()}, tmp_path, jobs=2)
    assert spoken.seconds == {
        "dev": pytest.approx(1, abs=0.01),
        "train": pytest.approx(3, abs=0.01),
    }
    assert spoken.failed == 0
    corpus = read_corpus(f"{tmp_path / 'manifest.jsonl'}#train", TextNormalisation())
    assert [clip.text for clip in corpus.clips] == [
        f"this is number {word}" for word in ("two", "three", "four")
    ]
    row = rows_of(tmp_path / "manifest.jsonl")[0]
    assert (row["speaker"], row["source"], row["split"]) == ("tones:low", "numbers", "dev")
    waveform, rate_hz = soundfile.read(tmp_path / row["audio"])
    assert rate_hz == 16_000
    assert np.abs(waveform).max() < 0.96


def test_a_stopped_run_goes_on_with_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        speak(PLAN, {"tones": Tones(stops_at="three")}, tmp_path, jobs=1)
    assert not (tmp_path / "manifest.jsonl").exists()
    engine = Tones()
    speak(PLAN, {"tones": engine}, tmp_path, jobs=1)
    said_before = {path.stem for path in (tmp_path / "clips").iterdir()}
    assert said_before == {f"{index:06d}" for index in range(4)}
    assert "This is number one." not in engine.spoken
    assert len(rows_of(tmp_path / "manifest.jsonl")) == 4


def test_what_cannot_be_said_is_listed_and_tried_again(tmp_path: Path) -> None:
    spoken = speak(PLAN, {"tones": Tones(refuses="two")}, tmp_path, jobs=2)
    assert spoken.failed == 1
    (row,) = rows_of(tmp_path / "failed.jsonl")
    assert row["error"] == "it cannot be said"
    assert len(rows_of(tmp_path / "manifest.jsonl")) == 3
    assert speak(PLAN, {"tones": Tones()}, tmp_path, jobs=2).failed == 0
    assert rows_of(tmp_path / "failed.jsonl") == []


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_a_clip_without_sound_is_a_failure(tmp_path: Path, value: float) -> None:
    def silent(text: str, voice: str, speed: float) -> tuple[FloatArray, int]:
        return np.full(100, value, dtype=np.float32), RATE_HZ

    assert speak(PLAN, {"tones": silent}, tmp_path, jobs=1).failed == 4


def test_a_folder_holds_one_plan(tmp_path: Path) -> None:
    claim_folder(tmp_path / "out", {"seed": 1, "speeds": (0.9, 1.1)})
    claim_folder(tmp_path / "out", {"seed": 1, "speeds": (0.9, 1.1)})
    with pytest.raises(SynthesisRefused, match="begun with seed = 1, not 2"):
        claim_folder(tmp_path / "out", {"seed": 2, "speeds": (0.9, 1.1)})
