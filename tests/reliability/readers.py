"""atheris on what reads files: `python tests/reliability/readers.py READER -runs=N CORPUS`.

Whatever the bytes, a reader gives a result or one of our errors.
"""

import io
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["service"]):
    from service.audio import AudioLimits, decode_audio
    from service.bundle import GOLDEN_FILE, MANIFEST_FILE, Bundle, read_manifest
    from service.config import PACKAGED_BUNDLE
    from service.errors import InvalidBundle, ServiceError

LIMITS = AudioLimits(max_duration_s=30)
FOLDER = Path(tempfile.mkdtemp(prefix="stt-readers-"))
MANIFEST = read_manifest(PACKAGED_BUNDLE)


def read_audio(content: bytes) -> None:
    with suppress(ServiceError):
        decode_audio(io.BytesIO(content), LIMITS)


def read_a_manifest(content: bytes) -> None:
    (FOLDER / MANIFEST_FILE).write_bytes(content)
    with suppress(InvalidBundle):
        read_manifest(FOLDER)


def read_a_golden_file(content: bytes) -> None:
    (FOLDER / GOLDEN_FILE).write_bytes(content)
    with suppress(InvalidBundle):
        Bundle(FOLDER, MANIFEST).golden("int8")


READERS = {"audio": read_audio, "manifest": read_a_manifest, "golden": read_a_golden_file}


if __name__ == "__main__":
    reader = READERS[sys.argv.pop(1)]
    atheris.Setup(sys.argv, reader)
    atheris.Fuzz()
