"""Folders with a metadata file: Hugging Face's audiofolder and LJSpeech."""

from pathlib import Path

from model_export.data.corpus import Reason, Skipped
from model_export.data.manifests import manifest_rows
from model_export.data.rows import Row, Rows, Source
from model_export.data.tables import numbered_lines, undecodable
from model_export.errors import ManifestInvalid

FILES = ("metadata.jsonl", "metadata.csv")
LJSPEECH_FILE = "metadata.csv"


def _audiofolder_rows(folder: Path, split: str) -> Rows:
    path = next(folder / name for name in FILES if (folder / name).is_file())
    return manifest_rows(path, split)


def _ljspeech_rows(folder: Path, split: str) -> Rows:
    """Rows `ID|text as printed|text as read`, without a header; audio is wavs/ID.wav."""
    if split:
        raise ManifestInvalid(f"{folder} is an LJSpeech folder, without splits such as {split!r}")
    for place, line in numbered_lines(folder / LJSPEECH_FILE):
        name, *texts = line.split("|")
        if not line:
            continue
        if not name or not 1 <= len(texts) <= 2:
            detail = f"{len(texts) + 1} fields between bars, not 2 or 3"
            yield Skipped(place, Reason.MALFORMED, detail)
        else:
            row = Row(place, folder / "wavs" / f"{name}.wav", texts[-1] or texts[0])
            yield undecodable(place, [line]) or row


def _is_ljspeech(path: Path) -> bool:
    return (path / "wavs").is_dir() and _has_bars(path / LJSPEECH_FILE)


def _has_bars(path: Path) -> bool:
    if not path.is_file():
        return False
    _, first = next(numbered_lines(path), ("", ""))
    return "|" in first


def _is_audiofolder(path: Path) -> bool:
    return any((path / name).is_file() for name in FILES) and not _is_ljspeech(path)


AUDIOFOLDER = Source(
    "audiofolder", "metadata.jsonl or metadata.csv", _is_audiofolder, _audiofolder_rows
)
LJSPEECH = Source(
    "LJSpeech folder", "wavs/ and metadata.csv with bars", _is_ljspeech, _ljspeech_rows
)
