import os

import pytest

from service.serving.shelf import Shelf


@pytest.fixture
def shelf(tmp_path):
    for name in ("default", "others/one", "others/.hidden", "others/no bundle"):
        (tmp_path / name).mkdir(parents=True)
        if name != "others/no bundle":
            (tmp_path / name / "bundle.json").write_text("{}")
    (tmp_path / "others" / "file").write_text("")
    return Shelf(tmp_path / "default", tmp_path / "others")


def test_bundles_are_the_default_and_the_subfolders_with_a_manifest(shelf):
    assert [folder.name for folder in shelf.look()] == ["default", "one"]


def test_what_is_written_or_exchanged_is_seen(shelf):
    (folder,) = set(shelf.look()) - {shelf.default}
    states = [shelf.look()[folder]]
    (folder / "model.onnx").write_bytes(b"one")
    states.append(shelf.look()[folder])
    (folder / "model.onnx").write_bytes(b"two")
    os.utime(folder / "model.onnx", (1, 1))
    states.append(shelf.look()[folder])
    assert len(set(states)) == 3
    assert shelf.look()[folder] == states[-1]


def test_a_folder_that_is_not_there_holds_nothing(tmp_path):
    assert Shelf(tmp_path / "none", tmp_path / "others").look() == {}
    assert Shelf(tmp_path / "none", None).look() == {}
