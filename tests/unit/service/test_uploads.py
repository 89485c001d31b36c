import errno
import tempfile
from contextlib import ExitStack, asynccontextmanager

import pytest

from service.errors import InvalidRequest, StorageFull, UploadTooLarge
from service.uploads import (
    MAX_PARTS,
    MAX_TEXT_BYTES,
    SPOOL_BYTES,
    announced_bytes,
    full_disk_told,
    receive_form,
    receive_upload,
)

BOUNDARY = "frontier"
HEADERS = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}
CONTENT = bytes(range(256)) * 3 + b"\r\n--front\r\n--"


def form(*fields):
    """The body for fields, each a name and its bytes."""
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"; filename="a"\r\n'
        "Content-Type: audio/wav\r\n\r\n".encode()
        + value
        + b"\r\n"
        for name, value in fields
    ]
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


async def pieces(body, size):
    for start in range(0, len(body), size):
        yield body[start : start + size]


@asynccontextmanager
async def received(body, *, size=64, max_bytes=10**9, **headers):
    async with receive_upload(HEADERS | headers, pieces(body, size), max_bytes=max_bytes) as upload:
        yield upload


async def refused(body, kind=InvalidRequest, **kwargs):
    with pytest.raises(kind) as caught:
        async with received(body, **kwargs):
            pass
    return caught.value


@pytest.mark.parametrize("size", [1, 2, 7, 64, 10_000])
async def test_the_file_arrives_however_the_body_is_cut(size):
    body = form(("language", b"en"), ("file", CONTENT), ("model", b"tiny"), ("odd", b"x"))
    async with received(body, size=size) as upload:
        assert upload.file.read() == CONTENT
        assert upload.fields == {"language": "en", "model": "tiny"}


async def test_other_fields_can_be_asked_for_and_come_several_times():
    names = ("word", "segment")
    body = form(*(("list[]", name.encode()) for name in names), ("file", b"x"), ("model", b"m"))
    chunks = pieces(body, 7)
    async with receive_upload(HEADERS, chunks, max_bytes=999, fields={"list[]"}) as upload:
        assert upload.fields == {"list[]": "word\nsegment"}


async def test_an_empty_file_is_a_file():
    async with received(form(("file", b""))) as upload:
        assert upload.file.read() == b""


@pytest.mark.parametrize("extra_bytes", [-1000, SPOOL_BYTES])
async def test_large_files_lie_on_disk_and_are_gone_afterwards(tmp_path, monkeypatch, extra_bytes):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    content = b"x" * (SPOOL_BYTES + extra_bytes)
    async with received(form(("file", content)), size=65_536) as upload:
        assert upload.file.read() == content
        on_disk = upload.file.name is not None
        assert on_disk == (len(content) > SPOOL_BYTES)
    assert upload.file.closed
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def open_file():
    """Opens a path for the test, buffered as for an upload."""
    with ExitStack() as files:
        yield lambda path: files.enter_context(open(path, "w+b", SPOOL_BYTES))


@pytest.mark.parametrize("size_bytes", [10, 2 * SPOOL_BYTES])
async def test_a_file_of_the_caller_s_is_filled_and_kept(tmp_path, open_file, size_bytes):
    body = form(("language", b"en"), ("file", b"x" * size_bytes))
    file = open_file(tmp_path / "upload")
    upload = await receive_form(file, HEADERS, pieces(body, 65_536), max_bytes=10**9)
    assert upload.file is file
    assert upload.file.read() == b"x" * size_bytes
    assert upload.fields == {"language": "en"}


@pytest.mark.parametrize("size_bytes", [10, 2 * SPOOL_BYTES])
async def test_a_full_disk_is_told(open_file, size_bytes):
    body = form(("file", b"x" * size_bytes))
    with pytest.raises(StorageFull), full_disk_told(), open_file("/dev/full") as file:
        await receive_form(file, HEADERS, pieces(body, 65_536), max_bytes=10**9)


def test_other_faults_of_the_disk_are_left_as_they_are():
    with pytest.raises(OSError, match="broken"), full_disk_told():
        raise OSError(errno.EIO, "broken")


def test_a_body_may_say_how_long_it_will_be():
    assert announced_bytes({"content-length": "12"}) == 12
    assert announced_bytes({}) is None


async def test_the_announced_size_is_enough_to_refuse():
    error = await refused(b"", UploadTooLarge, max_bytes=100, **{"content-length": "101"})
    assert (error.found, error.limit, error.param) == (101, 100, "file")


async def test_an_unannounced_size_is_refused_as_it_arrives():
    taken = []

    async def endless():
        start = form(("file", bytes(1000)))[:1000]
        while True:
            taken.append(1)
            yield start if len(taken) == 1 else bytes(1000)

    with pytest.raises(UploadTooLarge) as caught:
        async with receive_upload(HEADERS, endless(), max_bytes=2500):
            pass
    assert len(taken) == 3
    assert (caught.value.found, caught.value.limit) == (3000, 2500)


@pytest.mark.parametrize(
    "content_type", ["", "audio/wav", "application/json", "multipart/form-data", "multipart/mixed"]
)
async def test_other_content_types_are_told(content_type):
    error = await refused(form(("file", b"x")), **{"content-type": content_type})
    assert error.found == content_type
    assert error.limit == "multipart/form-data"


async def test_a_missing_file_is_told_with_the_fields_that_came():
    error = await refused(form(("audio", b"x"), ("language", b"en")))
    assert error.param == "file"
    assert error.found == ["audio", "language"]
    assert error.limit == ["file"]
    assert "audio, language" in error.message


async def test_a_form_without_fields_misses_the_file():
    error = await refused(f"--{BOUNDARY}--\r\n".encode())
    assert (error.param, error.found) == ("file", [])


async def test_a_second_file_is_refused():
    error = await refused(form(("file", b"x"), ("file", b"y")))
    assert (error.param, error.found, error.limit) == ("file", 2, 1)


async def test_a_body_that_breaks_off_is_refused():
    body = form(("file", CONTENT))
    for kept in (0, 1, 40, len(body) - 20):
        assert "last boundary" in (await refused(body[:kept])).message


@pytest.mark.parametrize("body", [b"hello", b"--elsewhere\r\n\r\n", b'{"file": "x"}'])
async def test_a_body_that_is_no_form_is_refused(body):
    assert "not valid" in (await refused(body)).message


async def test_an_unusable_boundary_is_refused():
    content_type = f"multipart/form-data; boundary={'x' * 1000}"
    assert "boundary" in (await refused(b"", **{"content-type": content_type})).message


async def test_text_fields_stay_short():
    error = await refused(form(("language", b"e" * (MAX_TEXT_BYTES + 1)), ("file", b"x")))
    assert (error.param, error.limit) == ("language", MAX_TEXT_BYTES)
    assert error.found > MAX_TEXT_BYTES


async def test_the_number_of_fields_is_bounded():
    error = await refused(form(*[(f"f{number}", b"") for number in range(MAX_PARTS + 1)]))
    assert (error.found, error.limit) == (MAX_PARTS + 1, MAX_PARTS)
