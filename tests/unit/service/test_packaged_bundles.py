import pytest

from service.bundle import load_bundle
from service.config import PACKAGED_BUNDLES

LARGEST_BYTES = 25_000_000
LARGEST_TOGETHER_BYTES = 45_000_000
FOLDERS = sorted(path for path in PACKAGED_BUNDLES.iterdir() if path.is_dir())


def bytes_in(folder):
    return sum(path.stat().st_size for path in folder.iterdir())


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_each_is_whole_and_small_and_says_what_it_is(folder):
    manifest = load_bundle(folder).manifest
    assert manifest.name == folder.name
    assert manifest.language_model is not None
    ways = {record.decoding.partition(",")[0] for record in manifest.measurements}
    assert {"greedy", f"beam {manifest.language_model.beam}"} <= ways
    assert bytes_in(folder) <= LARGEST_BYTES


def test_together_they_leave_the_repository_small():
    assert sum(map(bytes_in, FOLDERS)) <= LARGEST_TOGETHER_BYTES
