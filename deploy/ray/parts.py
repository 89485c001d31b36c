"""The results: one part for each batch of files, there whole or not at all."""

import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq
from files import open_filesystem, read_bytes
from pyarrow.fs import FileSelector, FileType, LocalFileSystem

FORMATS = ("jsonl", "parquet")

_WORD = pa.struct(
    [
        ("word", pa.string()),
        ("start_s", pa.float64()),
        ("end_s", pa.float64()),
        ("confidence", pa.float64()),
    ]
)
_SCHEMA = pa.schema(
    [
        ("uri", pa.string()),
        ("text", pa.string()),
        ("duration_s", pa.float64()),
        ("language", pa.string()),
        ("model", pa.string()),
        ("words", pa.list_(_WORD)),
        ("error", pa.struct([("code", pa.string()), ("message", pa.string())])),
    ]
)

Row = dict[str, object]


def in_batches(uris: Sequence[str], size: int) -> list[Row]:
    """Group files; a batch's name is made of its files."""
    groups = [list(uris[start : start + size]) for start in range(0, len(uris), size)]
    return [{"part": _name_of(group), "uris": group} for group in groups]


def _name_of(uris: Sequence[str]) -> str:
    return "part-" + hashlib.sha256("\n".join(uris).encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Parts:
    """A folder of results.

    Attributes:
        folder: path or URI.
        form: one of `FORMATS`.
    """

    folder: str
    form: str

    def write(self, part: str, rows: Sequence[Row]) -> None:
        """Write a part; whoever reads meanwhile sees the whole of it or nothing."""
        filesystem, folder = open_filesystem(self.folder)
        filesystem.create_dir(folder)
        final = f"{folder}/{part}.{self.form}"
        # An object store shows an object when it is complete; on a disk a new name does that.
        is_disk = isinstance(filesystem, LocalFileSystem)
        written = f"{final}.unfinished" if is_disk else final
        with filesystem.open_output_stream(written) as stream:
            stream.write(_encode(rows, self.form))
        if is_disk:
            filesystem.move(written, final)

    def outcomes(self) -> dict[str, str | None]:
        """Of each file that has a result, by URI: its error's code, None for a transcript."""
        return {
            uri: None if error is None else error["code"]
            for name in self._names()
            for uri, error in _decode(read_bytes(name), self.form)
        }

    def _names(self) -> list[str]:
        filesystem, folder = open_filesystem(self.folder)
        infos = filesystem.get_file_info(FileSelector(folder, allow_not_found=True))
        return [
            f"{self.folder.rstrip('/')}/{info.base_name}"
            for info in infos
            if info.type is FileType.File and info.base_name.endswith(f".{self.form}")
        ]


def _encode(rows: Sequence[Row], form: str) -> bytes:
    if form == "jsonl":
        return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(list(rows), schema=_SCHEMA), buffer)
    return buffer.getvalue()


def _decode(content: bytes, form: str) -> list[tuple[str, dict[str, str] | None]]:
    if form == "jsonl":
        rows = [json.loads(line) for line in content.decode().split("\n") if line]
    else:
        rows = pq.read_table(io.BytesIO(content), columns=["uri", "error"]).to_pylist()
    return [(row["uri"], row["error"]) for row in rows]
