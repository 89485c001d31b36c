from pathlib import Path

import pytest

from model_export.data import Reason, read_corpus
from model_export.errors import ManifestInvalid
from service.bundle import TextNormalisation

RULES = TextNormalisation()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("metadata.csv", 'file_name,transcription\nclips/a.wav,"yes, sir"\n'),
        ("metadata.jsonl", '{"file_name": "clips/a.wav", "text": "yes, sir"}\n'),
    ],
)
def test_an_audiofolder_is_a_manifest(folder: Path, name: str, content: str) -> None:
    (folder / name).write_text(content)
    (clip,) = read_corpus(str(folder), RULES).clips
    assert (clip.audio, clip.text) == (folder / "clips/a.wav", "yes sir")


def test_ljspeech_has_bars_and_no_header(folder: Path) -> None:
    (folder / "clips").rename(folder / "wavs")
    rows = 'a|Mr. 5 "x|mister five\nb|plain\nc|only printed|\n\nd\n|nameless\na|b|c|d\n'
    (folder / "metadata.csv").write_text(rows)
    corpus = read_corpus(str(folder), RULES)
    assert [(clip.audio.name, clip.text) for clip in corpus.clips] == [
        ("a.wav", "mister five"),
        ("b.wav", "plain"),
        ("c.wav", "only printed"),
    ]
    assert [row.place[-2:] for row in corpus.skipped] == [":5", ":6", ":7"]
    assert {row.reason for row in corpus.skipped} == {Reason.MALFORMED}
    with pytest.raises(ManifestInvalid, match="without splits"):
        read_corpus(f"{folder}#train", RULES)
