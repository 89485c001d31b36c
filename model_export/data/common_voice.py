"""Common Voice: a folder with `clips/` and a TSV file for each split."""

from pathlib import Path

from model_export.data.corpus import Reason, Skipped
from model_export.data.rows import Row, Rows, Source, speaker_of
from model_export.data.tables import Fields, read_table
from model_export.errors import ManifestInvalid

SPLITS = ("train", "dev", "test", "validated", "invalidated", "other")
DURATIONS_FILE = "clip_durations.tsv"


def _rows(folder: Path, split: str) -> Rows:
    path = folder / f"{split}.tsv"
    if not split or not path.is_file():
        found = ", ".join(_splits_in(folder))
        raise ManifestInvalid(f"{folder}#{split} is no split of this Common Voice folder: {found}")
    durations_s = _durations_s(folder / DURATIONS_FILE)
    for place, fields in read_table(path, (("path",), ("sentence",))):
        yield fields if isinstance(fields, Skipped) else _row(folder, place, fields, durations_s)


def _row(folder: Path, place: str, fields: Fields, durations_s: dict[str, float]) -> Row | Skipped:
    name, sentence = fields.get("path"), fields.get("sentence")
    if not name or sentence is None:
        return Skipped(place, Reason.MISSING_FIELD, "no path or no sentence")
    return Row(
        place=place,
        audio=folder / "clips" / str(name),
        text=str(sentence),
        seconds=durations_s.get(str(name)),
        speaker=speaker_of(fields),
    )


def _durations_s(path: Path) -> dict[str, float]:
    """Stated durations by clip; what cannot be read is measured instead."""
    if not path.is_file():
        return {}
    rows = (fields for _, fields in read_table(path, (("clip",), ("duration[ms]",))))
    stated = ((row.get("clip"), row.get("duration[ms]")) for row in rows if isinstance(row, dict))
    return {str(clip): int(str(ms)) / 1000 for clip, ms in stated if str(ms).isdecimal()}


def _splits_in(folder: Path) -> list[str]:
    return [split for split in SPLITS if (folder / f"{split}.tsv").is_file()]


def _recognises(path: Path) -> bool:
    return (path / "clips").is_dir() and bool(_splits_in(path))


SOURCE = Source("Common Voice folder", "clips/ and train.tsv or the like", _recognises, _rows)
