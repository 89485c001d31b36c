"""Real recordings with planted faults, through the command."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from recordings import SPEECH, recordings

from model_export.cli import main
from model_export.data_check.check import check
from model_export.encoders.ctc_model import FrontEndFacts
from model_export.errors import ManifestInvalid
from model_export.transcripts.options import DEFAULT_RULES

RECORDINGS = recordings()


def write_wav(path: Path, waveform: np.ndarray, rate_hz: int = 16000) -> str:
    soundfile.write(path, waveform, rate_hz)
    return path.name


def write_rows(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The test recordings as train.jsonl with faults among them, and two of them as dev.jsonl."""
    folder = tmp_path_factory.mktemp("data")
    rows: list[dict[str, object]] = []
    for recording in RECORDINGS:
        shutil.copy(recording.path, folder)
        speaker = "human" if recording.is_human else "kokoro"
        rows.append({"audio": recording.path.name, "text": recording.text, "speaker": speaker})
    speech = RECORDINGS[1].waveform()
    (folder / "broken.flac").write_bytes(b"fLaC, but no more")
    planted = {
        "silent.wav": ("a silent clip of three whole seconds it is", np.zeros(48000)),
        "quiet.wav": ("a quiet clip of something that was said", 0.09 * speech),
        "clipped.wav": ("a clipped clip of speech", np.clip(40 * speech, -1, 1)),
        "offset.wav": ("an offset clip of speech", 0.5 * speech + 0.1),
        "hasty.wav": ("too many words for so little audio as there is in here", speech[:20000]),
        "short.wav": ("more letters than frames", speech[:4000]),
        "cyrillic.wav": ("one b\u0430d letter in here", speech[100:]),
    }
    for name, (text, waveform) in planted.items():
        rows.append({"audio": write_wav(folder / name, waveform), "text": text})
    shutil.copy(RECORDINGS[4].path, folder / "copy.flac")
    narrow = write_wav(folder / "narrow.wav", speech[::2], 8000)
    first = RECORDINGS[0]
    rows += [
        {"audio": narrow, "text": "a clip of 8 kHz"},
        {"audio": narrow, "text": "a 50 % clip"},
        {"audio": narrow, "text": "a clip at half the rate"},
        {"audio": "broken.flac", "text": "cannot be read"},
        {"audio": "gone.flac", "text": "is not there"},
        {"audio": first.path.name, "text": "..."},
        {"audio": first.path.name, "text": first.text + "!", "speaker": "human"},
        {"audio": first.path.name, "text": "what nobody says here at all", "speaker": "human"},
        {"audio": "copy.flac", "text": RECORDINGS[4].text, "speaker": "human"},
        {"audio": RECORDINGS[2].path.name, "text": RECORDINGS[3].text, "speaker": "human"},
    ]
    write_rows(folder / "train.jsonl", rows)
    write_rows(
        folder / "dev.jsonl", [rows[0], {**rows[5], "text": "heard nowhere else", "speaker": "x"}]
    )
    return folder


@pytest.fixture(scope="module")
def found(folder: Path) -> dict[str, object]:
    """The JSON of both references, checked together."""
    path = folder / "found.json"
    references = [str(folder / "train.jsonl"), str(folder / "dev.jsonl")]
    assert main(["check-data", *references, "--language", "en", "--json", str(path)]) == 0
    content: dict[str, object] = json.loads(path.read_text())
    return content


def counts(groups: list[dict[str, object]]) -> dict[object, object]:
    return {group["kind"]: group["count"] for group in groups}


def test_rows_that_cannot_be_trained_on_are_counted_by_reason(found) -> None:
    train = found["corpora"][0]
    assert counts(train["skipped"]) == {
        "text refused": 2,
        "empty text": 1,
        "audio is missing": 1,
        "duplicate row": 1,
        "audio cannot be decoded": 1,
        "text longer than its frames": 1,
    }
    assert train["clips"] == len(RECORDINGS) + 10


def test_odd_recordings_are_named(found) -> None:
    odd = {group["kind"]: group["examples"] for group in found["corpora"][0]["odd"]}
    for kind, name in {
        "silent": "silent.wav: ",
        "very quiet": "quiet.wav: ",
        "clipped": "clipped.wav: ",
        "DC offset": "offset.wav: ",
        "far more text than audio": "hasty.wav: ",
        "far less text than audio": f"{RECORDINGS[0].path.name}: ",
    }.items():
        (example,) = odd.pop(kind)
        assert example.startswith(name)
    assert not odd


def test_sums_rates_and_speakers(found) -> None:
    train = found["corpora"][0]
    assert train["rates_hz"] == {"8000": 1, "16000": 14, "48000": 9}
    assert train["speakers"]["count"] == 2
    assert train["speakers"]["clips_without"] == 7
    assert list(train["speakers"]["largest_s"]) == ["kokoro", "human"]
    durations = train["durations"]
    assert durations["shortest_s"] == 1.25
    assert durations["longest_s"] == pytest.approx(10.62, abs=0.01)
    assert train["audio_s"] > sum(train["speakers"]["largest_s"].values())


def test_texts_are_counted(found) -> None:
    train = found["corpora"][0]
    (foreign,) = [c for c in train["texts"]["characters"] if c["foreign"]]
    assert (foreign["name"], foreign["clips"]) == ("CYRILLIC SMALL LETTER A", 1)
    assert foreign["example"].startswith("cyrillic.wav: one b")
    assert train["digits"]["clips"] == 2
    assert train["digits"]["spelled"] == 1
    assert train["dropped"]["%"] == 1
    assert counts(train["duplicates"]) == {
        "same audio, same text": 1,
        "same audio, another text": 2,
    }


def test_advice_follows_from_what_was_found(found) -> None:
    advice = "\n".join(found["corpora"][0]["advice"])
    for part in (
        "texts with digits: 2",
        "--digits spell would take 1 of them",
        "another script (Cyrillic), perhaps typed by mistake: \u0430",
        "symbols that are read aloud are dropped (%)",
        "silent: 1; remove",
        "clips below 16 kHz: 1",
    ):
        assert part in advice


def test_what_two_references_share_is_told(found) -> None:
    (pair,) = found["overlaps"]
    assert (pair["first"][-11:], pair["second"][-9:]) == ("train.jsonl", "dev.jsonl")
    assert counts(pair["shared"]) == {"recording": 2, "sentence": 1, "speaker": 1}


def test_the_report_is_text_to_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    assert main(["check-data", "train.jsonl", "dev.jsonl"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("train.jsonl: 1.7 min in 24 clips\n  durations     1.25 to 10.62 s")
    for line in (
        "  speakers      2 (kokoro 44 s, human 40 s); 7 clips do not say",
        "  other script  \u0430 in 1, such as cyrillic.wav: one b\u0430d letter in here",
        "  skipped       text refused: 2, such as train.jsonl:22: the text has digits, such as '8'",
        "                audio is missing: 1, such as train.jsonl:26: gone.flac",
        "dev.jsonl and train.jsonl share",
        "                speaker: 1, such as librivox-0870.flac: human",
    ):
        assert line in text.splitlines()
    assert "spell cannot be used" in text  # for want of --language
    assert max(map(len, text.splitlines())) <= 100


def test_nothing_to_train_on_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.wav").write_bytes(b"RIFF")
    rows = write_rows(tmp_path / "rows.jsonl", [{"audio": "a.wav", "text": "a"}])
    assert main(["check-data", str(rows)]) == 2
    assert "no recording can be decoded; 1 skipped" in capsys.readouterr().err
    rows = write_rows(tmp_path / "rows.jsonl", [{"audio": "gone.wav", "text": "a"}])
    assert main(["check-data", str(rows)]) == 2
    assert "audio is missing" in capsys.readouterr().err


def test_number_words_that_do_not_exist_are_told_before_anything_is_read(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["check-data", "gone.jsonl", "--digits", "spell", "--language", "hi"]) == 2
    assert "no number words for 'hi'" in capsys.readouterr().err


def test_limits_of_a_base_are_held_against_the_clips() -> None:
    base = FrontEndFacts(320, 400, longest_pass_s=6.0, convention="")
    (report,) = check([str(SPEECH / "manifest.jsonl")], DEFAULT_RULES, base).corpora
    (skipped,) = report.skipped
    assert skipped.kind == "audio too long"
    assert report.durations.longest_s < 6
    none = FrontEndFacts(320, 400, longest_pass_s=0.5, convention="")
    with pytest.raises(ManifestInvalid, match="no clip fits the encoder"):
        check([str(SPEECH / "manifest.jsonl")], DEFAULT_RULES, none)
