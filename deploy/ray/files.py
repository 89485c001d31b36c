"""Files by path or URI: local, what pyarrow knows (s3, gs, hdfs), and the rest through fsspec."""

from pathlib import Path

import fsspec
from pyarrow import ArrowInvalid
from pyarrow.fs import FileSelector, FileSystem, FileType, FSSpecHandler, PyFileSystem


def open_filesystem(uri: str) -> tuple[FileSystem, str]:
    """The file system that a URI or local path lies on, and the path there."""
    if "://" not in uri:
        return FileSystem.from_uri(Path(uri).absolute().as_uri())
    try:
        return FileSystem.from_uri(uri)
    except ArrowInvalid:
        found, path = fsspec.core.url_to_fs(uri)
        return PyFileSystem(FSSpecHandler(found)), path


def read_bytes(uri: str) -> bytes:
    """All of one file.

    Raises:
        OSError: it is not there, or cannot be read.
    """
    filesystem, path = open_filesystem(uri)
    with filesystem.open_input_stream(path) as stream:
        return bytes(stream.read())


def listed_uris(source: str) -> list[str]:
    """What is to be transcribed, each once: lines after an `@`, or all files below a folder."""
    if source.startswith("@"):
        lines = read_bytes(source[1:]).decode().splitlines()
        return list(dict.fromkeys(filter(None, map(str.strip, lines))))
    filesystem, path = open_filesystem(source)
    below = filesystem.get_file_info(FileSelector(path, recursive=True))
    base = source.rstrip("/")
    return sorted(
        f"{base}/{info.path.removeprefix(path).lstrip('/')}"
        for info in below
        if info.type is FileType.File
    )
