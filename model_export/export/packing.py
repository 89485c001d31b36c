"""Files of a bundle that are written plain and kept compressed."""

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def packed(path: Path) -> Iterator[Path]:
    """Where to write a file; if its name ends in .gz, it is compressed to there afterwards.

    Eight bits that are seldom all used: a quarter of an int8 graph's size goes.
    """
    if path.suffix != ".gz":
        yield path
        return
    plain = path.with_suffix("")
    yield plain
    path.write_bytes(gzip.compress(plain.read_bytes(), mtime=0))
    plain.unlink()
