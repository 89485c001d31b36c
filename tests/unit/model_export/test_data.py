import json
from pathlib import Path

import pytest

from model_export.data import Clip, Corpus, keep_spellable, read_corpus
from model_export.errors import ManifestInvalid
from model_export.text import make_vocabulary
from service.bundle import TextNormalisation

RULES = TextNormalisation()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder in which clips/a.wav to clips/c.wav exist."""
    (tmp_path / "clips").mkdir()
    for name in "abc":
        (tmp_path / "clips" / f"{name}.wav").touch()
    return tmp_path


def write(folder: Path, name: str, content: str, encoding: str = "utf-8") -> str:
    path = folder / name
    path.write_text(content, encoding=encoding)
    return str(path)


MANIFESTS = {
    "rows.jsonl": '{"audio": "clips/a.wav", "text": "Yes.", "seconds": 1.5}\n\n'
    '{"audio": "clips/b.wav", "text": "no, \\"sir\\""}\n',
    "rows.csv": 'audio,text,seconds\nclips/a.wav,Yes.,1.5\nclips/b.wav,"no, ""sir""",\n',
    "rows.tsv": "audio\ttext\tseconds\nclips/a.wav\tYes.\t1.5\nclips/b.wav\tno, sir\t\n",
    "rows.CSV": 'text,more,audio,seconds\nYes.,x,clips/a.wav,1.5\n"no, sir",x,clips/b.wav,\n',
}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("name", MANIFESTS)
def test_formats_say_the_same(folder: Path, name: str, encoding: str) -> None:
    corpus = read_corpus(write(folder, name, MANIFESTS[name], encoding), RULES)
    assert corpus.clips == (
        Clip(folder / "clips/a.wav", "yes", 1.5),
        Clip(folder / "clips/b.wav", "no sir", None),
    )
    assert corpus.skipped == ()


def test_absolute_paths_stay(folder: Path) -> None:
    row = {"audio": str(folder / "clips/a.wav"), "text": "a"}
    (folder / "deep").mkdir()
    corpus = read_corpus(write(folder / "deep", "rows.jsonl", json.dumps(row)), RULES)
    assert corpus.clips[0].audio == folder / "clips/a.wav"


def test_unusable_rows_are_skipped_and_listed(folder: Path) -> None:
    rows = "audio,text\nclips/a.wav,...\nclips/gone.wav,yes\nclips,yes\nclips/b.wav,ok\n"
    reference = write(folder, "rows.csv", rows)
    corpus = read_corpus(reference, RULES)
    assert [clip.text for clip in corpus.clips] == ["ok"]
    assert corpus.skipped == (
        f"{reference}:2: the text is empty",
        f"{reference}:3: {folder / 'clips/gone.wav'} does not exist",
        f"{reference}:4: {folder / 'clips'} does not exist",
    )


def test_a_split_is_chosen_behind_the_path(folder: Path) -> None:
    rows = "audio,text,split\nclips/a.wav,a,train\nclips/b.wav,b,dev\nclips/c.wav,c,train\n"
    reference = write(folder, "rows.csv", rows)
    assert [clip.text for clip in read_corpus(f"{reference}#train", RULES).clips] == ["a", "c"]
    assert [clip.text for clip in read_corpus(reference, RULES).clips] == ["a", "b", "c"]
    with pytest.raises(ManifestInvalid, match="no usable row"):
        read_corpus(f"{reference}#test", RULES)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "rows.csv",
            "path,text\nclips/a.wav,a\n",
            r":2 has no 'audio'; its fields are: path, text",
        ),
        ("rows.csv", "audio,text\nclips/a.wav\n", r":2 has no 'text'"),
        ("rows.jsonl", '{"audio": "clips/a.wav"}', r":1 has no 'text'; its fields are: audio"),
        ("rows.jsonl", '{"audio": "clips/a.wav"', r"cannot be read as a manifest"),
        ("rows.jsonl", '{"audio": 5, "text": "a"}', r":1: audio is 5, not a path"),
        ("rows.jsonl", '["clips/a.wav", "a"]', r":1 is no object with fields"),
        ("rows.csv", "audio,text,seconds\nclips/a.wav,a,long\n", r":2: seconds is 'long'"),
        ("rows.csv", "audio,text,seconds\nclips/a.wav,a,-1\n", r":2: seconds is '-1'"),
        ("rows.csv", "audio,text,seconds\nclips/a.wav,a,nan\n", r":2: seconds is 'nan'"),
        ("rows.csv", "audio,text\n", r"no usable row; 0 skipped"),
        ("rows.csv", "", r"no usable row; 0 skipped"),
        ("rows.csv", "audio,text\nclips/gone.wav,a\n", r"no usable row; 1 skipped, first: .*gone"),
    ],
)
def test_unreadable_manifests_say_what_was_found(
    folder: Path, name: str, content: str, message: str
) -> None:
    with pytest.raises(ManifestInvalid, match=message):
        read_corpus(write(folder, name, content), RULES)


@pytest.mark.parametrize("name", ["missing.jsonl", "clips"])
def test_what_is_no_file_is_no_manifest(folder: Path, name: str) -> None:
    with pytest.raises(ManifestInvalid, match="cannot be read as a manifest"):
        read_corpus(str(folder / name), RULES)


def test_binary_is_no_manifest(folder: Path) -> None:
    (folder / "rows.jsonl").write_bytes(b"RIFF\xff\xfe\x00")
    with pytest.raises(ManifestInvalid, match="cannot be read as a manifest"):
        read_corpus(str(folder / "rows.jsonl"), RULES)


def test_texts_outside_the_vocabulary_are_skipped() -> None:
    clips = tuple(Clip(Path(f"{text}.wav"), text, None) for text in ("ab a", "abc", "b"))
    vocabulary = make_vocabulary(["ab"])
    kept = keep_spellable(Corpus(clips, ("earlier",)), vocabulary)
    assert kept.clips == (clips[0], clips[2])
    assert kept.skipped == ("earlier", "abc.wav: not in the vocabulary: ['c']")


def test_no_text_in_the_vocabulary_is_an_error() -> None:
    clip = Clip(Path("c.wav"), "c", None)
    with pytest.raises(ManifestInvalid, match="no text fits the vocabulary"):
        keep_spellable(Corpus((clip, clip), ()), make_vocabulary(["ab"]))
