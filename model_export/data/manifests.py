"""Manifests: JSONL, CSV or TSV with a row for each utterance."""

from collections.abc import Iterator
from pathlib import Path

from model_export.data.corpus import Reason, Skipped
from model_export.data.rows import TEXT_COLUMNS, Row, Rows, Source, first_named, speaker_of
from model_export.data.tables import Fields, read_json_lines, read_table
from model_export.errors import ManifestInvalid

SUFFIXES = {".jsonl", ".json", ".csv", ".tsv"}
AUDIO_COLUMNS = ("audio", "audio_filepath", "file_name", "path")
SECONDS_COLUMNS = ("seconds", "duration")


def manifest_rows(path: Path, split: str) -> Rows:
    """Rows of a manifest; audio paths are relative to it.

    Args:
        path: of the manifest.
        split: take only rows whose field split is this, unless it is empty.
    """
    found = set()
    for place, fields in _fields(path):
        if isinstance(fields, Skipped):
            yield fields
            continue
        found.add(str(fields.get("split", "")))
        if not split or fields.get("split") == split:
            yield _row(path, place, fields)
    if split and split not in found:
        listed = ", ".join(sorted(found - {""})) or "none"
        raise ManifestInvalid(f"{path} has no row whose split is {split!r}; found: {listed}")


def _fields(path: Path) -> Iterator[tuple[str, Fields | Skipped]]:
    if path.suffix.lower() in (".csv", ".tsv"):
        return read_table(path, (AUDIO_COLUMNS, TEXT_COLUMNS))
    return read_json_lines(path)


def _row(path: Path, place: str, fields: Fields) -> Row | Skipped:
    audio = first_named(AUDIO_COLUMNS, fields)
    text = first_named(TEXT_COLUMNS, fields)
    for name, value in (("audio", audio), ("text", text)):
        if value is None:
            return Skipped(place, Reason.MISSING_FIELD, f"no {name!r} in: {', '.join(fields)}")
    if not isinstance(audio, str) or not audio:
        return Skipped(place, Reason.MISSING_FIELD, f"audio is {audio!r}, not a path")
    return Row(
        place=place,
        audio=path.parent / audio,
        text=str(text),
        seconds=first_named(SECONDS_COLUMNS, fields),
        speaker=speaker_of(fields),
    )


def _recognises(path: Path) -> bool:
    return path.is_file() and path.suffix.lower() in SUFFIXES


SOURCE = Source("manifest", "a file *.jsonl, *.csv or *.tsv", _recognises, manifest_rows)
