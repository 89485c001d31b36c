import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from model_export.data import Corpus, Skipped, read_corpus
from model_export.data.tables import read_table
from model_export.errors import ManifestInvalid
from service.bundle import TextNormalisation

FIELDS = st.text(st.characters(exclude_characters="\t\n\r", exclude_categories=["Cs"]), max_size=9)
LINES = st.lists(
    st.binary(max_size=12)
    | st.sampled_from([b"utt1 a b", b"utt1 a.wav", b'a.wav\tb"', b'a.wav,"b', b"utt1 rec 0 1"]),
    max_size=6,
)


def read(reference: str) -> Corpus | None:
    """Whatever lies there, it is read or refused."""
    try:
        return read_corpus(reference, TextNormalisation(keep='"'))
    except ManifestInvalid:
        return None


@settings(deadline=None, max_examples=60)
@given(rows=st.lists(st.lists(FIELDS, min_size=2, max_size=2), max_size=8))
def test_tsv_gives_every_field_back(rows: list[list[str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.tsv"
        lines = ["\t".join(fields) for fields in [["audio", "text"], *rows]]
        path.write_bytes("\n".join(lines).encode())
        found = [fields for _, fields in read_table(path, (("audio",), ("text",)))]
    assert found == [{"audio": audio, "text": text} for audio, text in rows]


@settings(deadline=None, max_examples=100)
@given(name=st.sampled_from(["rows.csv", "rows.tsv", "rows.jsonl"]), lines=LINES)
def test_any_bytes_are_rows_or_refused(name: str, lines: list[bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        header = {"rows.csv": b"audio,text", "rows.tsv": b"audio\ttext"}.get(name)
        good = {"rows.csv": b"a.wav,good", "rows.tsv": b"a.wav\tgood"}.get(
            name, b'{"audio": "a.wav", "text": "good"}'
        )
        content = [header, good, *lines] if header else [good, *lines]
        (Path(folder) / name).write_bytes(b"\n".join(content))
        corpus = read(f"{folder}/{name}")
    assert corpus is not None
    assert corpus.clips[0].text == "good"
    assert all(isinstance(row, Skipped) for row in corpus.skipped)


@settings(deadline=None, max_examples=100)
@given(text=LINES, wav_scp=LINES, segments=st.none() | LINES, durations=st.none() | LINES)
def test_any_kaldi_lines_are_rows_or_refused(
    text: list[bytes],
    wav_scp: list[bytes],
    segments: list[bytes] | None,
    durations: list[bytes] | None,
) -> None:
    files = {"text": text, "wav.scp": wav_scp, "segments": segments, "utt2dur": durations}
    with tempfile.TemporaryDirectory() as folder:
        for name, lines in files.items():
            if lines is not None:
                (Path(folder) / name).write_bytes(b"\n".join(lines))
        corpus = read(folder)
    for clip in () if corpus is None else corpus.clips:
        assert clip.text
        assert clip.place.startswith(f"{folder}/text:")
