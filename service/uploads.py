"""Multipart bodies, parsed as they arrive: a cap that counts later has already lost.

The part `file` goes into a file of the caller's, or lies in memory up to 1 MiB and in an unnamed
temporary file beyond; a few short text fields are kept, everything else is read past.
"""

import asyncio
import errno
from collections.abc import AsyncIterable, AsyncIterator, Collection, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile
from typing import IO

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header

from service.errors import InvalidRequest, StorageFull, UploadTooLarge
from service.options import FIELDS

CONTENT_TYPE = "multipart/form-data"
FILE_FIELD = "file"
SPOOL_BYTES = 1024**2
MAX_TEXT_BYTES = 16 * 1024  # hot words in any script
MAX_PARTS = 64
FULL_DISK = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True)
class Upload:
    """A received form.

    Attributes:
        file: the part `file`, at its beginning.
        fields: text by name, of those asked for that came; one that came several times has a line
            for each.
    """

    file: IO[bytes]
    fields: dict[str, str]


@asynccontextmanager
async def receive_upload(
    headers: Mapping[str, str],
    chunks: AsyncIterable[bytes],
    *,
    max_bytes: int,
    fields: Collection[str] = FIELDS,
) -> AsyncIterator[Upload]:
    """Receive a form whose file is gone at the end of the context; see `receive_form`."""
    with SpooledTemporaryFile(max_size=SPOOL_BYTES) as file:
        yield await receive_form(file, headers, chunks, max_bytes=max_bytes, fields=fields)


async def receive_form(
    file: IO[bytes],
    headers: Mapping[str, str],
    chunks: AsyncIterable[bytes],
    *,
    max_bytes: int,
    fields: Collection[str] = FIELDS,
) -> Upload:
    """Receive a form with one file.

    Args:
        file: what the part `file` is written to; holds `SPOOL_BYTES` in memory before it blocks.
        headers: of the request, names in lower case.
        chunks: the body as it arrives.
        max_bytes: largest body.
        fields: names of text to keep.

    Raises:
        InvalidRequest: not a complete multipart form with one part `file`.
        UploadTooLarge: the body has, or announces, more than `max_bytes`.
        StorageFull: the disk is full.
    """
    _check_size(announced_bytes(headers) or 0, max_bytes)
    form = _Form(file, fields)
    parser = _parser(headers.get("content-type", ""), form)
    received_bytes = 0
    async for chunk in chunks:
        received_bytes += len(chunk)
        _check_size(received_bytes, max_bytes)
        with full_disk_told():
            await _write(parser, chunk, to_disk=received_bytes > SPOOL_BYTES)
    with full_disk_told():
        return form.finish()


def announced_bytes(headers: Mapping[str, str]) -> int | None:
    """How long the body will be; None if it does not say."""
    announced = headers.get("content-length")
    return None if announced is None else int(announced)


@contextmanager
def full_disk_told() -> Iterator[None]:
    """Turn the system's error into ours.

    Raises:
        StorageFull: the disk, or our part of it, is full.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in FULL_DISK:
            raise
        raise StorageFull("there is no room left to store the upload") from error


async def _write(parser: MultipartParser, chunk: bytes, *, to_disk: bool) -> None:
    try:
        if to_disk:
            await asyncio.to_thread(parser.write, chunk)
        else:
            parser.write(chunk)
    except FormParserError as error:
        raise InvalidRequest(f"the body is not valid {CONTENT_TYPE}: {error}") from error


def _check_size(found_bytes: int, max_bytes: int) -> None:
    if found_bytes > max_bytes:
        raise UploadTooLarge(
            f"a body of {found_bytes} bytes or more is over the limit of {max_bytes}",
            found=found_bytes,
            limit=max_bytes,
            param=FILE_FIELD,
        )


def _parser(content_type: str, form: "_Form") -> MultipartParser:
    kind, options = parse_options_header(content_type)
    if kind != CONTENT_TYPE.encode() or not options.get(b"boundary"):
        raise InvalidRequest(
            f"the body must be {CONTENT_TYPE} with a boundary",
            found=content_type,
            limit=CONTENT_TYPE,
        )
    try:
        return MultipartParser(
            options[b"boundary"],
            {
                "on_part_begin": form.begin_part,
                "on_header_field": form.add_to_header_name,
                "on_header_value": form.add_to_header_value,
                "on_header_end": form.end_header,
                "on_headers_finished": form.begin_data,
                "on_part_data": form.add_data,
                "on_end": form.end,
            },
        )
    except FormParserError as error:
        raise InvalidRequest(f"the boundary cannot be used: {error}") from error


class _Form:
    """What has arrived so far; its methods are the parser's callbacks."""

    def __init__(self, file: IO[bytes], fields: Collection[str]) -> None:
        self._file = file
        self._fields = fields
        self._parts: list[str] = []
        self._texts: dict[str, bytearray] = {}
        self._header_name = bytearray()
        self._header_value = bytearray()
        self._part = ""
        self._complete = False

    def begin_part(self) -> None:
        self._part = ""

    def add_to_header_name(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def add_to_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def end_header(self) -> None:
        if self._header_name.lower() == b"content-disposition":
            _, options = parse_options_header(bytes(self._header_value))
            self._part = options.get(b"name", b"").decode(errors="replace")
        self._header_name.clear()
        self._header_value.clear()

    def begin_data(self) -> None:
        if self._part == FILE_FIELD and FILE_FIELD in self._parts:
            raise InvalidRequest("the field 'file' came twice", found=2, limit=1, param=FILE_FIELD)
        if self._part in self._texts:
            self._texts[self._part] += b"\n"
        self._parts.append(self._part)
        if (found := len(self._parts)) > MAX_PARTS:
            raise InvalidRequest(f"more than {MAX_PARTS} fields", found=found, limit=MAX_PARTS)

    def add_data(self, data: bytes, start: int, end: int) -> None:
        if self._part == FILE_FIELD:
            self._file.write(memoryview(data)[start:end])
        elif self._part in self._fields:
            text = self._texts.setdefault(self._part, bytearray())
            text += data[start:end]
            if len(text) > MAX_TEXT_BYTES:
                raise InvalidRequest(
                    f"the field {self._part!r} has more than {MAX_TEXT_BYTES} bytes",
                    found=len(text),
                    limit=MAX_TEXT_BYTES,
                    param=self._part,
                )

    def end(self) -> None:
        self._complete = True

    def finish(self) -> Upload:
        """The form, complete and with a file."""
        if not self._complete:
            raise InvalidRequest("the body ends before its last boundary")
        if FILE_FIELD not in self._parts:
            raise InvalidRequest(
                f"the field 'file' is missing; found: {', '.join(self._parts) or 'no field'}",
                found=self._parts,
                limit=[FILE_FIELD],
                param=FILE_FIELD,
            )
        self._file.seek(0)
        fields = {name: text.decode(errors="replace") for name, text in self._texts.items()}
        return Upload(self._file, fields)
