import stat

import pytest

from service.jobs.files import JobFiles, sync


@pytest.fixture
def files(tmp_path):
    return JobFiles(tmp_path / "uploads")


def test_a_kept_upload_has_its_name_and_nobody_else_reads_it(files):
    with files.create_part("a") as part:
        part.write(b"audio")
        assert not files.path("a").exists()
        sync(part)
    assert files.keep("a") == 5
    assert files.path("a").read_bytes() == b"audio"
    assert stat.S_IMODE(files.path("a").stat().st_mode) == 0o600


def test_a_part_is_never_written_over(files):
    files.create_part("a").close()
    with pytest.raises(FileExistsError):
        files.create_part("a")


def test_discarding_leaves_what_was_kept(files):
    files.create_part("a").close()
    files.keep("a")
    files.create_part("b").close()
    files.discard_part("a")
    files.discard_part("b")
    files.remove_others({"a"})
    assert files.path("a").exists()
    files.remove("a")
    files.remove("a")
    assert not files.path("a").exists()
