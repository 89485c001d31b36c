import json
from pathlib import Path

import pytest

from model_export.data import Clip, Reason, read_corpus
from model_export.errors import ManifestInvalid
from service.bundle import TextNormalisation

RULES = TextNormalisation()


def write(folder: Path, name: str, content: str, encoding: str = "utf-8") -> str:
    path = folder / name
    path.write_bytes(content.encode(encoding))
    return str(path)


MANIFESTS = {
    "rows.jsonl": '{"audio": "clips/a.wav", "text": "Yes.", "seconds": 1.5, "speaker": 7}\n\n'
    '{"audio": "clips/b.wav", "text": "no, \\"sir\\""}\n',
    "nemo.jsonl": '{"audio_filepath": "clips/a.wav", "text": "Yes.", "duration": 1.5, '
    '"speaker": "7"}\n{"audio_filepath": "clips/b.wav", "text": "No, sir!"}\n',
    "rows.csv": 'audio,text,seconds,speaker\nclips/a.wav,Yes.,1.5,7\nclips/b.wav,"no, ""sir""",\n',
    "rows.tsv": "audio\ttext\tseconds\tspeaker\n"
    "clips/a.wav\tYes.\t1.5\t7\nclips/b.wav\tno, sir\t\t\n",
    "rows.CSV": "text,more,audio,seconds,speaker\r\nYes.,x,clips/a.wav,1.5,7\r\n"
    '"no,\nsir",x,clips/b.wav,,\r\n',
}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("name", MANIFESTS)
def test_formats_say_the_same(folder: Path, name: str, encoding: str) -> None:
    reference = write(folder, name, MANIFESTS[name], encoding)
    corpus = read_corpus(reference, RULES)
    start = 1 if name.endswith("jsonl") else 2
    line = start + 1 + (name == "rows.jsonl")
    assert corpus.clips == (
        Clip(folder / "clips/a.wav", "yes", 1.5, "7", f"{reference}:{start}"),
        Clip(folder / "clips/b.wav", "no sir", None, None, f"{reference}:{line}"),
    )
    assert corpus.skipped == ()


def test_absolute_paths_stay(folder: Path) -> None:
    row = {"audio": str(folder / "clips/a.wav"), "text": "a"}
    (folder / "deep").mkdir()
    corpus = read_corpus(write(folder / "deep", "rows.jsonl", json.dumps(row)), RULES)
    assert corpus.clips[0].audio == folder / "clips/a.wav"


def test_a_split_is_chosen_behind_the_path(folder: Path) -> None:
    rows = "audio,text,split\nclips/a.wav,a,train\nclips/b.wav,b,dev\nclips/c.wav,c,train\n"
    reference = write(folder, "rows.csv", rows)
    assert [clip.text for clip in read_corpus(f"{reference}#train", RULES).clips] == ["a", "c"]
    assert [clip.text for clip in read_corpus(reference, RULES).clips] == ["a", "b", "c"]
    with pytest.raises(ManifestInvalid, match=r"no row whose split is 'test'; found: dev, train$"):
        read_corpus(f"{reference}#test", RULES)


def test_a_path_may_have_a_hash_of_its_own(folder: Path) -> None:
    reference = write(folder, "take#2.csv", "audio,text,split\nclips/a.wav,a,x\n")
    assert len(read_corpus(reference, RULES).clips) == 1
    assert len(read_corpus(f"{reference}#x", RULES).clips) == 1


CSV = "audio,text,seconds\nclips/a.wav,ok,\n"
JSONL = '{"audio": "clips/a.wav", "text": "ok"}\n'


@pytest.mark.parametrize(
    ("name", "content", "reason", "detail"),
    [
        ("rows.csv", CSV + "clips/b.wav,...,\n", Reason.EMPTY_TEXT, "of '...' nothing is left"),
        ("rows.csv", CSV + "clips/b.wav,,\n", Reason.EMPTY_TEXT, ""),
        ("rows.csv", CSV + "clips/b.wav\n", Reason.MISSING_FIELD, "no 'text' in: audio"),
        ("rows.csv", CSV + ",yes,\n", Reason.MISSING_FIELD, "audio is '', not a path"),
        ("rows.csv", CSV + "clips/b.wav,a,long\n", Reason.BAD_DURATION, "'long'"),
        ("rows.csv", CSV + "clips/b.wav,a,-1\n", Reason.BAD_DURATION, "'-1'"),
        ("rows.csv", CSV + "clips/b.wav,a,nan\n", Reason.BAD_DURATION, "'nan'"),
        ("rows.csv", CSV + "clips/b.wav,a,0\n", Reason.BAD_DURATION, "'0'"),
        ("rows.csv", CSV + "clips/b.wav,a,1,2\n", Reason.MALFORMED, "4 fields; the header names 3"),
        ("rows.csv", CSV + f'clips/b.wav,"{"x" * 140000}\n', Reason.MALFORMED, "field larger"),
        ("rows.csv", CSV + "clips/a.wav,Ok!,3\n", Reason.DUPLICATE, ":2"),
        ("rows.csv", CSV + "clips/b.wav,\udcff,\n", Reason.UNDECODABLE, "'\\udcff'"),
        ("rows.tsv", CSV.replace(",", "\t") + "a\tb\tc\td\n", Reason.MALFORMED, "4 fields"),
        ("rows.tsv", CSV.replace(",", "\t") + "a\t\udcff\t\n", Reason.UNDECODABLE, "'\\udcff'"),
        ("rows.jsonl", JSONL + '{"audio": "clips/b.wav"}\n', Reason.MISSING_FIELD, "no 'text'"),
        ("rows.jsonl", JSONL + '{"audio": 5, "text": "a"}\n', Reason.MISSING_FIELD, "audio is 5"),
        ("rows.jsonl", JSONL + '{"audio": "clips/b.wav"\n', Reason.MALFORMED, "delimiter"),
        ("rows.jsonl", JSONL + '["clips/b.wav", "a"]\n', Reason.MALFORMED, "no object"),
        ("rows.jsonl", JSONL + "[" * 100000 + "\n", Reason.MALFORMED, "recursion"),
        ("rows.jsonl", JSONL + '{"text": "\\ud800"}\n', Reason.UNDECODABLE, "'\\ud800'"),
        ("rows.jsonl", JSONL + "RIFF\udcff\udcfe\0\n", Reason.UNDECODABLE, "RIFF"),
    ],
)
def test_a_bad_row_is_skipped_and_listed(
    folder: Path, name: str, content: str, reason: Reason, detail: str
) -> None:
    path = folder / name
    path.write_bytes(content.encode("utf-8", "surrogateescape"))
    corpus = read_corpus(str(path), RULES)
    assert [clip.text for clip in corpus.clips] == ["ok"]
    (row,) = corpus.skipped
    assert (row.reason, row.place) == (reason, f"{path}:{content.count(chr(10))}")
    assert detail in row.detail


def test_a_lone_quote_in_tsv_swallows_nothing(folder: Path) -> None:
    rows = 'audio\ttext\nclips/a.wav\t"ahoy\nclips/b.wav\tsays "x\u2028y\nclips/c.wav\t"c"\n'
    corpus = read_corpus(write(folder, "rows.tsv", rows), RULES)
    assert [clip.text for clip in corpus.clips] == ["ahoy", "says x y", "c"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "rows.csv",
            "wav,text\nclips/a.wav,a\n",
            r"no column 'audio' or .*'path'; it has: wav, text$",
        ),
        ("rows.tsv", "audio\twords\na\tb\n", r"no column 'text' or 'sentence'"),
        ("rows.csv", "", r"rows\.csv is empty"),
        ("rows.csv", "audio,text\n", r"no usable row; it is empty"),
        ("rows.jsonl", "\n", r"no usable row; it is empty"),
        (
            "rows.csv",
            "audio,text\na\nb,\nc,.\n",
            r"no usable row; 3 skipped \(empty text: 2, a field is missing: 1\), first: .*csv:2: ",
        ),
    ],
)
def test_what_is_of_no_use_as_a_whole_is_an_error(
    folder: Path, name: str, content: str, message: str
) -> None:
    with pytest.raises(ManifestInvalid, match=message):
        read_corpus(write(folder, name, content), RULES)
