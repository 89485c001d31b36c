import hashlib
import json
from pathlib import Path

import pytest

from model_export.bases.files import (
    CONFIG_FILE,
    WEIGHT_FORMS,
    digest_of_base,
    weight_files,
)
from model_export.bases.preprocessor import PREPROCESSOR_FILE, SETTINGS_FILES
from model_export.errors import BaseUnavailable

SHARDS = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")


def put(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).write_text(name)
    return folder


def put_index(folder: Path, *shards: str) -> Path:
    index = {"weight_map": {f"layer.{number}": name for number, name in enumerate(shards)}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return folder


def test_earlier_forms_win_over_later_ones(tmp_path: Path) -> None:
    put_index(put(tmp_path, *SHARDS), *SHARDS)
    put(tmp_path, "pytorch_model.bin", "model.safetensors")
    (tmp_path / "pytorch_model.bin.index.json").write_text('{"weight_map": {"a": "x.bin"}}')
    put(tmp_path, "x.bin")
    for form, expected in zip(
        WEIGHT_FORMS,
        [("model.safetensors",), SHARDS, ("pytorch_model.bin",), ("x.bin",)],
        strict=True,
    ):
        assert tuple(file.name for file in weight_files(tmp_path)) == expected
        (tmp_path / form.file).unlink()
    with pytest.raises(BaseUnavailable, match=r"holds no weights .*model\.safetensors, "):
        weight_files(tmp_path)


def test_shards_are_listed_once_and_sorted(tmp_path: Path) -> None:
    put_index(put(tmp_path, *SHARDS), SHARDS[1], SHARDS[0], SHARDS[1])
    assert [file.name for file in weight_files(tmp_path)] == list(SHARDS)


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    put_index(put(tmp_path, SHARDS[0]), *SHARDS)
    with pytest.raises(BaseUnavailable, match=rf"lacks 1 of 2 shards, first '{SHARDS[1]}'"):
        weight_files(tmp_path)


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "{}", '{"weight_map": []}', '{"weight_map": {}}', '{"weight_map": {"a": 1}}'],
)
def test_a_damaged_index_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "model.safetensors.index.json").write_text(content)
    with pytest.raises(BaseUnavailable, match=r"index\.json is no index|lacks 1 of 1 shards"):
        weight_files(tmp_path)


@pytest.mark.parametrize("name", ["../model.safetensors", "/etc/hostname"])
def test_an_index_reaches_no_other_folder(tmp_path: Path, name: str) -> None:
    put_index(tmp_path, name)
    with pytest.raises(BaseUnavailable, match="is no index of shards"):
        weight_files(tmp_path)


def test_the_digest_is_what_checkpoints_have_recorded(tmp_path: Path) -> None:
    put(tmp_path, CONFIG_FILE, PREPROCESSOR_FILE, "model.safetensors")
    names = (CONFIG_FILE, PREPROCESSOR_FILE, "model.safetensors")
    each = [hashlib.sha256(name.encode()).hexdigest() for name in names]
    assert digest_of_base(tmp_path) == hashlib.sha256("".join(each).encode()).hexdigest()


def test_the_digest_covers_what_is_loaded_and_nothing_else(tmp_path: Path) -> None:
    put_index(put(tmp_path, CONFIG_FILE, *SHARDS), *SHARDS)
    digest = digest_of_base(tmp_path)
    put(tmp_path, "pytorch_model.bin", "adapter.eng.safetensors", "README.md")
    assert digest_of_base(tmp_path) == digest
    for name in (CONFIG_FILE, *SHARDS):
        (tmp_path / name).write_text("changed")
        assert digest_of_base(tmp_path) != digest
        put(tmp_path, name)
    for name in SETTINGS_FILES:
        put(tmp_path, name)
        assert digest_of_base(tmp_path) != digest
        (tmp_path / name).unlink()


def test_without_weights_there_is_no_digest(tmp_path: Path) -> None:
    put(tmp_path, CONFIG_FILE)
    with pytest.raises(BaseUnavailable, match="holds no weights"):
        digest_of_base(tmp_path)
