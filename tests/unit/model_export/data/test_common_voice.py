import csv
from pathlib import Path

import numpy as np
import pytest
from audio_files import encode
from recordings import Recording, recordings

from model_export.data import Reason, read_corpus, verify_audio
from model_export.errors import ManifestInvalid
from service.bundle import TextNormalisation

RULES = TextNormalisation()
COLUMNS = (
    "client_id",
    "path",
    "sentence_id",
    "sentence",
    "sentence_domain",
    "up_votes",
    "down_votes",
    "age",
    "gender",
    "accents",
    "variant",
    "locale",
    "segment",
)


@pytest.fixture(scope="module")
def human() -> list[Recording]:
    return [recording for recording in recordings() if recording.is_human][1:4:2]


@pytest.fixture
def common_voice(tmp_path: Path, human: list[Recording]) -> Path:
    """A release with two clips as MP3, the first of 2.99 s."""
    (tmp_path / "clips").mkdir()
    for number, recording in enumerate(human):
        mp3 = encode(recording.waveform(), "mp3", "mp3", rate_hz=16_000)
        (tmp_path / f"clips/common_voice_en_{number}.mp3").write_bytes(mp3)
    sentences = [f'"{human[0].text}', human[1].text]
    write_split(tmp_path / "train.tsv", sentences)
    write_split(tmp_path / "dev.tsv", sentences[:1])
    return tmp_path


def write_split(path: Path, sentences: list[str]) -> None:
    rows = [COLUMNS]
    for number, sentence in enumerate(sentences):
        name = f"common_voice_en_{number}.mp3"
        rest = ("", "2", "0", "", "", "", "", "en", "")
        rows.append((f"reader{number}", name, f"id{number}", sentence, *rest))
    path.write_text("".join("\t".join(row) + "\n" for row in rows), encoding="utf-8")


def test_a_split_is_read_with_speakers(common_voice: Path, human: list[Recording]) -> None:
    corpus = read_corpus(f"{common_voice}#train", RULES)
    assert [clip.text for clip in corpus.clips] == [recording.text for recording in human]
    assert [clip.speaker for clip in corpus.clips] == ["reader0", "reader1"]
    assert corpus.clips[0].audio == common_voice / "clips/common_voice_en_0.mp3"
    assert corpus.clips[1].place == f"{common_voice / 'train.tsv'}:3"
    assert corpus.skipped == ()
    assert len(read_corpus(f"{common_voice}#dev", RULES).clips) == 1


def test_durations_are_taken_where_they_are_stated(
    common_voice: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = [clip.seconds for clip in verify_audio(corpus_of(common_voice), "train").clips]
    rows = [("clip", "duration[ms]"), ("common_voice_en_0.mp3", "3024"), ("x.mp3", "many")]
    with (common_voice / "clip_durations.tsv").open("w", newline="") as file:
        csv.writer(file, delimiter="\t").writerows(rows)
    corpus = corpus_of(common_voice)
    assert [clip.seconds for clip in corpus.clips] == [3.024, None]

    decoded = []

    def decode(audio: Path) -> np.ndarray:
        decoded.append(audio.name)
        return np.zeros(16000, np.float32)

    monkeypatch.setattr("model_export.data.verification.load_waveform", decode)
    assert [clip.seconds for clip in verify_audio(corpus, "train").clips] == [3.024, 1.0]
    assert decoded == ["common_voice_en_1.mp3"]
    assert real[0] == pytest.approx(3.024, abs=0.1)


def corpus_of(folder: Path):
    return read_corpus(f"{folder}#train", RULES)


@pytest.mark.parametrize("split", ["", "#test", "#clip_durations"])
def test_a_split_that_is_not_there_is_an_error(common_voice: Path, split: str) -> None:
    (common_voice / "clip_durations.tsv").write_text("clip\tduration[ms]\n")
    with pytest.raises(ManifestInvalid, match=r"Common Voice folder: train, dev$|no column 'path'"):
        read_corpus(f"{common_voice}{split}", RULES)


def test_short_and_undecodable_rows_are_skipped(common_voice: Path) -> None:
    with (common_voice / "train.tsv").open("ab") as file:
        file.write(b"reader\tcommon_voice_en_1.mp3\n")
        file.write(b"reader\tcommon_voice_en_1.mp3\tid\tcaf\xe9\n")
    reasons = [row.reason for row in corpus_of(common_voice).skipped]
    assert reasons == [Reason.MISSING_FIELD, Reason.UNDECODABLE]
