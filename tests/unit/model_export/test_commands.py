import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
import torch
from language_models import even_arpa
from recordings import SPEECH
from tiny_bundle import make_bundle

from model_export import commands, inspection
from model_export.bases import loading as bases
from model_export.checkpoint import SPEC_FILE, ModelSpec
from model_export.cli import main
from model_export.data import Corpus
from model_export.errors import ManifestInvalid
from service.bundle import TextNormalisation, load_bundle
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

    monkeypatch.setattr(inspection, "inspect", interrupt)
    assert main(["inspect", "anything"]) == 130
    assert capsys.readouterr().err == "wsm-export: interrupted\n"


def test_the_options_of_fine_tuning_come_in_groups(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["finetune", "--help"])
    printed = capsys.readouterr().out
    groups = ["data:", "text:", "model:", "training:", "speed and memory:", "record:"]
    assert [line for line in printed.splitlines() if line in groups] == groups


def test_a_count_of_nothing_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["finetune", "--train", "a", "--dev", "b", "--out", "c", "--accumulate", "0"])
    assert "0 is not at least 1" in capsys.readouterr().err


def test_streaming_is_refused_at_once_where_attention_is_left(
    whisper_base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["finetune", "--base", str(whisper_base), "--train", "a", "--dev", "b", "--out", "c"]
    assert main([*command, "--streaming", "--replace", "last:1"]) == 2
    told = capsys.readouterr().err
    assert "cannot stream: layer 0 mixes the whole utterance by attention" in told


def test_what_cannot_be_used_is_counted_and_listed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "torn.flac").write_bytes((SPEECH / "librivox-0880.flac").read_bytes()[:20000])
    audios = [str(SPEECH / "librivox-0880.flac"), "torn.flac", "gone.flac"]
    rows = [json.dumps({"audio": audio, "text": "he was not", "seconds": 9}) for audio in audios]
    manifest = tmp_path / "rows.jsonl"
    manifest.write_text("\n".join(rows))
    listed, hypotheses = tmp_path / "skipped.jsonl", tmp_path / "hypotheses.jsonl"
    files = ["--skipped", str(listed), "--hypotheses", str(hypotheses)]
    assert main(["evaluate", str(PACKAGED_BUNDLE), str(manifest), *files]) == 0

    told = capsys.readouterr().err
    assert "evaluate: wrong stated durations, not used: 1" in told
    assert f"evaluate: skipped 1: audio is missing\n  {manifest}:3  {tmp_path}/gone.flac" in told
    skipped = [json.loads(line) for line in listed.read_text().splitlines()]
    assert [row["place"] for row in skipped] == [f"{manifest}:2", f"{manifest}:3"]
    assert skipped[0]["reason"] == "audio cannot be decoded"
    recognised = [json.loads(line)["audio"] for line in hypotheses.read_text().splitlines()]
    assert recognised == audios[:1]


def test_a_record_says_how_was_decoded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    row = {"audio": str(SPEECH / "kokoro-001936.opus"), "text": "the fire beamed on their faces"}
    (tmp_path / "rows.jsonl").write_text(json.dumps(row))
    arpa = even_arpa(tmp_path / "words.arpa", row["text"].split())
    record = tmp_path / "record.json"
    command = ["evaluate", str(PACKAGED_BUNDLE), str(tmp_path / "rows.jsonl")]
    command += ["--json", str(record)]

    def decoding_of(*options: str) -> str:
        assert main([*command, *options]) == 0
        return str(json.loads(record.read_text())["decoding"])

    assert decoding_of("--decoding", "greedy") == "greedy"
    lm = load_bundle(PACKAGED_BUNDLE).manifest.language_model
    assert lm is not None
    settings = f"weight {lm.weight:g}, word score {lm.word_score:g}"
    assert decoding_of() == f"beam {lm.beam}, lm.arpa.gz, {settings}"
    weights = ("--lm-weight", "1.5", "--word-score", "-0.5", "--beam", "20")
    found = decoding_of("--language-model", str(arpa), *weights)
    assert found == "beam 20, words.arpa, weight 1.5, word score -0.5"
    assert "WER 0.0 %" in capsys.readouterr().out
    command[1] = str(make_bundle(tmp_path / "bundle"))
    assert main([*command, "--decoding", "beam"]) == 2
    assert "there is no language model" in capsys.readouterr().err


def test_a_run_goes_on_when_a_recording_has_vanished(
    tmp_path: Path, spoken: Corpus, whisper_base: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for clip in spoken.clips:
        (tmp_path / clip.audio.name).write_bytes(clip.audio.read_bytes())
    rows = [{"audio": clip.audio.name, "text": clip.text} for clip in spoken.clips]
    manifest = tmp_path / "rows.jsonl"
    manifest.write_text("\n".join(json.dumps(row) for row in rows))
    (tmp_path / "0.wav").write_bytes(b"never was audio")
    command = ["finetune", "--base", str(whisper_base), "--max-steps", "2", "--replace", "1"]
    command += ["--train", str(manifest), "--dev", str(manifest), "--out", str(tmp_path / "out")]
    assert main(command) == 0
    listed = (tmp_path / "out" / "skipped.jsonl").read_text().splitlines()
    assert [json.loads(row)["place"] for row in listed] == [f"{manifest}:1"] * 2

    (tmp_path / "5.wav").unlink()
    assert main(command) == 0
    assert [record.getMessage()[:18] for record in caplog.records] == ["left out, 1 so far"]


def test_a_manifest_can_be_trusted(
    tmp_path: Path, whisper_base: Path, asked: list[ModelSpec], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "verified_once", None)  # would fail if it were called
    assert finetune(whisper_base, tmp_path / "run", "--language", "en", "--trust-manifest") == 0
    assert len(asked) == 1


class FineTuningAsked:
    """Takes the place of fine-tuning, and remembers what was asked for."""

    specs: ClassVar[list[ModelSpec]] = []

    def __init__(self, spec: ModelSpec, **_: Any) -> None:
        self.specs.append(spec)
        self.model = torch.nn.Linear(1, 1)

    def fitting(self, corpus: Corpus) -> Corpus:
        return corpus

    fitting_batches = fitting

    def run(self, *_: Corpus) -> dict[str, float]:
        return {"eval_wer": 0.0, "eval_cer": 0.0}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[ModelSpec]:
    """Specs of the fine-tuning that is asked for, which is not done."""
    monkeypatch.setattr(commands, "FineTuning", FineTuningAsked)
    monkeypatch.setattr(FineTuningAsked, "specs", [])
    return FineTuningAsked.specs


def finetune(base: Path, out: Path, *options: str) -> int:
    manifest = str(SPEECH / "manifest.jsonl")
    required = ["--base", str(base), "--train", manifest, "--dev", manifest, "--out", str(out)]
    return main(["finetune", *required, "--replace", "last:1", *options])


def test_languages_normalisation_and_vocabulary_are_recorded(
    whisper_base: Path, tmp_path: Path, asked: list[ModelSpec]
) -> None:
    finetune(whisper_base, tmp_path / "out", "--language", "en", "--digits", "spell", "--cased")
    (spec,) = asked
    assert spec.languages == ("en",)
    rules = spec.text_normalisation
    assert (rules.digits, rules.language, rules.lowercase) == ("spell", "en", False)
    assert "T" in spec.vocabulary.tokens


def test_a_start_gives_languages_normalisation_and_vocabulary(
    whisper_base: Path, spec: ModelSpec, tmp_path: Path, asked: list[ModelSpec], capsys
) -> None:
    (tmp_path / SPEC_FILE).write_text(spec.model_dump_json())
    finetune(whisper_base, tmp_path / "out", "--start", str(tmp_path))
    assert "no text fits the vocabulary" in capsys.readouterr().err  # letters a to c only
    letters = tuple("abcdefghijklmnopqrstuvwxy'")
    vocabulary = spec.vocabulary.model_copy(update={"tokens": ("<blank>", "|", *letters)})
    started = spec.model_copy(update={"vocabulary": vocabulary, "languages": ("cs",)})
    (tmp_path / SPEC_FILE).write_text(started.model_dump_json())

    finetune(whisper_base, tmp_path / "out", "--start", str(tmp_path))
    (continued,) = asked
    assert continued.text_normalisation == spec.text_normalisation
    assert continued.vocabulary == vocabulary
    assert continued.languages == ("cs",)
    assert "characters that training has not: 'z' in 1 clips" in capsys.readouterr().err

    assert (
        finetune(whisper_base, tmp_path / "out", "--start", str(tmp_path), "--digits", "spell") == 2
    )
    assert "digits is 'keep'" in capsys.readouterr().err


def test_references_are_normalised_as_the_training_text_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rules = TextNormalisation(digits="spell", language="de")
    asked = []

    def read(_: str, found: TextNormalisation) -> Corpus:
        asked.append(found)
        raise ManifestInvalid("that is all")

    recogniser = SimpleNamespace(output=SimpleNamespace(text_normalisation=rules))
    monkeypatch.setattr(commands, "open_recogniser", lambda *_, **__: recogniser)
    monkeypatch.setattr(commands, "read_corpus", read)
    assert main(["evaluate", "model", "rows.jsonl"]) == 2
    assert asked == [rules]


def test_a_base_gives_its_limits_to_check_data(
    whisper_base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = str(SPEECH / "manifest.jsonl")
    assert main(["check-data", manifest, "--base", str(whisper_base)]) == 0
    assert f"{manifest}: 1.2 min in 14 clips" in capsys.readouterr().out
    assert main(["check-data", manifest, "--base", str(SPEECH)]) == 2


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
