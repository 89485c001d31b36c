"""Text files as rows of named fields; one bad line costs one row."""

import csv
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from model_export.data.corpus import Reason, Skipped
from model_export.errors import ManifestInvalid

Fields = dict[str, object]
LONE_SURROGATE = re.compile("[\ud800-\udfff]")
SHOWN_CHARACTERS = 60


def numbered_lines(path: Path) -> Iterator[tuple[str, str]]:
    """Place and content of each line; bytes that are not UTF-8 become lone surrogates.

    Lines end at line feeds only: sentences may hold the other separators that Unicode knows.

    Raises:
        ManifestInvalid: the file cannot be read.
    """
    try:
        with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="\n") as lines:
            for number, line in enumerate(lines, start=1):
                yield f"{path}:{number}", line.rstrip("\r\n")
    except OSError as error:
        raise ManifestInvalid(f"{path} cannot be read: {error}") from error


def undecodable(place: str, texts: Iterable[object]) -> Skipped | None:
    """The fault of a row with text that is not UTF-8."""
    for text in texts:
        if isinstance(text, str) and LONE_SURROGATE.search(text):
            return Skipped(place, Reason.UNDECODABLE, ascii(text[:SHOWN_CHARACTERS]))
    return None


def read_table(
    path: Path, required: Sequence[Sequence[str]]
) -> Iterator[tuple[str, Fields | Skipped]]:
    """Place and fields of each row of a CSV or TSV file with a header.

    CSV is quoted; TSV is not, so that a lone quote in a sentence swallows nothing.

    Args:
        path: of the file; its suffix tells its kind.
        required: for each field that must be there, the names it may have.

    Raises:
        ManifestInvalid: the file cannot be read, or its header lacks a field.
    """
    rows = _csv_rows(path) if path.suffix.lower() == ".csv" else _tsv_rows(path)
    header = next((row for _, row in rows if not isinstance(row, Skipped)), [])
    if not header:
        raise ManifestInvalid(f"{path} is empty")
    check_columns(str(path), header, required)
    for place, row in rows:
        if isinstance(row, Skipped):
            yield place, row
        elif len(row) > len(header):
            detail = f"{len(row)} fields; the header names {len(header)}"
            yield place, Skipped(place, Reason.MALFORMED, detail)
        else:
            fields: Fields = dict(zip(header, row, strict=False))
            yield place, undecodable(place, row) or fields


def read_json_lines(path: Path) -> Iterator[tuple[str, Fields | Skipped]]:
    """Place and fields of each line that is not blank.

    Raises:
        ManifestInvalid: the file cannot be read.
    """
    for place, line in numbered_lines(path):
        if line.strip():
            yield place, _json_object(place, line)


def check_columns(what: str, found: Iterable[str], required: Sequence[Sequence[str]]) -> None:
    """Check that columns are there.

    Args:
        what: for the message.
        found: names of the columns.
        required: for each column that must be there, the names it may have.

    Raises:
        ManifestInvalid: one is not.
    """
    found = list(found)
    for names in required:
        if not set(names) & set(found):
            wanted = " or ".join(repr(name) for name in names)
            raise ManifestInvalid(f"{what} has no column {wanted}; it has: {', '.join(found)}")


def _json_object(place: str, line: str) -> Fields | Skipped:
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError) as error:
        return undecodable(place, [line]) or Skipped(place, Reason.MALFORMED, str(error))
    if not isinstance(fields, dict):
        shown = ascii(line[:SHOWN_CHARACTERS])
        return Skipped(place, Reason.MALFORMED, f"no object with fields: {shown}")
    return undecodable(place, fields.values()) or fields


def _csv_rows(path: Path) -> Iterator[tuple[str, list[str] | Skipped]]:
    reader = csv.reader(f"{line}\n" for _, line in numbered_lines(path))
    while True:
        place = f"{path}:{reader.line_num + 1}"
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield place, Skipped(place, Reason.MALFORMED, str(error))
        else:
            if row:
                yield place, row


def _tsv_rows(path: Path) -> Iterator[tuple[str, list[str] | Skipped]]:
    for place, line in numbered_lines(path):
        if line:
            yield place, line.split("\t")
