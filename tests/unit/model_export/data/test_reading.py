from pathlib import Path

import pytest

from model_export.data import Reason, read_corpora, read_corpus, reading
from model_export.data.reading import SOURCES, name_of
from model_export.errors import ManifestInvalid
from service.bundle import TextNormalisation

RULES = TextNormalisation()


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(ManifestInvalid, match=r"gone\.csv does not exist$"):
        read_corpus(f"{tmp_path}/gone.csv#train", RULES)


@pytest.mark.parametrize("name", ["folder", "rows.xlsx"])
def test_an_unknown_kind_says_what_was_looked_for(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "rows.xlsx").touch()
    with pytest.raises(ManifestInvalid, match="no data of a kind we know") as raised:
        read_corpus(str(tmp_path / name), RULES)
    assert all(f"{source.kind}: {source.signs}" in str(raised.value) for source in SOURCES)


def test_several_kinds_at_once_are_an_error(folder: Path) -> None:
    for name in ("train.tsv", "wav.scp", "text"):
        (folder / name).touch()
    message = r"several kinds of data; looked for Common Voice folder: .*; Kaldi [^;]*$"
    with pytest.raises(ManifestInvalid, match=message):
        read_corpus(str(folder), RULES)


def test_a_text_that_is_refused_costs_its_row(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(text: str, _: TextNormalisation) -> str:
        if text == "5":
            raise ManifestInvalid("digits")
        return text

    monkeypatch.setattr(reading, "normalise", refuse)
    (folder / "rows.csv").write_text("audio,text\nclips/a.wav,5\nclips/b.wav,ok\n")
    corpus = read_corpus(str(folder / "rows.csv"), RULES)
    assert [(row.reason, row.detail) for row in corpus.skipped] == [(Reason.REFUSED_TEXT, "digits")]


def test_several_references_become_one_corpus(folder: Path) -> None:
    (folder / "one.csv").write_text("audio,text\nclips/a.wav,one\nclips/a.wav,\n")
    (folder / "two.csv").write_text("audio,text\nclips/b.wav,two\n")
    corpus = read_corpora([f"{folder}/one.csv", f"{folder}/two.csv"], RULES)
    assert [clip.text for clip in corpus.clips] == ["one", "two"]
    assert [row.reason for row in corpus.skipped] == [Reason.EMPTY_TEXT]


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        ("data/train.jsonl", "train.jsonl"),
        ("data/cv#train", "cv#train"),
        ("hf:org/set:cs#train", "hf:org/set:cs#train"),
    ],
)
def test_data_has_a_short_name(reference: str, name: str) -> None:
    assert name_of(reference) == name
