import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from checkpoints import BASES, MakeBase
from safetensors.torch import load_file, save_file

from model_export.bases import loading as bases
from model_export.bases.files import digest_of_base
from model_export.checkpoint import (
    SPEC_FILE,
    WEIGHTS_FILE,
    ModelSpec,
    build_from_spec,
    find_base,
    load_checkpoint,
    load_spec,
    save_checkpoint,
)
from model_export.encoders.ctc_model import CtcModel
from model_export.errors import CheckpointInvalid
from model_export.mixing.freezing import trained_tensors


@pytest.fixture
def saved(spec: ModelSpec, tmp_path: Path) -> tuple[Path, CtcModel]:
    """A checkpoint's folder, and the model it was saved from."""
    model = build_from_spec(spec)
    save_checkpoint(tmp_path / "checkpoint", spec, model)
    return tmp_path / "checkpoint", model


def test_loading_gives_the_same_logits(saved: tuple[Path, CtcModel], spec: ModelSpec) -> None:
    folder, model = saved
    found, loaded = load_checkpoint(folder)
    waveforms, lengths = torch.randn(2, 5000) * 0.1, torch.tensor([5000, 3000])
    with torch.inference_mode():
        expected, _ = model.eval()(waveforms, lengths)
        logits, _ = loaded(waveforms, lengths)
    assert found == spec
    assert torch.equal(logits, expected)


@pytest.mark.parametrize("base", BASES)
def test_every_family_comes_back_with_its_logits(
    make_base: MakeBase, spec: ModelSpec, tmp_path: Path, base: str
) -> None:
    folder = make_base(base)
    changes = {"base": str(folder), "base_digest": digest_of_base(folder), "layers": (0,)}
    changes |= {"mixer": "random-attention", "window_frames": None, "also_train": ("feed-forward",)}
    model = build_from_spec(spec.model_copy(update=changes))
    save_checkpoint(tmp_path, spec.model_copy(update=changes), model)
    _, loaded = load_checkpoint(tmp_path)
    waveforms, lengths = torch.randn(2, 5000) * 0.1, torch.tensor([5000, 3000])
    with torch.inference_mode():
        assert torch.equal(
            loaded.eval()(waveforms, lengths)[0], model.eval()(waveforms, lengths)[0]
        )


def test_added_layers_come_back(spec: ModelSpec, tmp_path: Path) -> None:
    base_layers = len(build_from_spec(spec).layers)
    added = tuple(range(base_layers, base_layers + 2))
    spec = spec.model_copy(update={"added_layers": 2, "layers": added})
    model = build_from_spec(spec)
    save_checkpoint(tmp_path, spec, model)
    found, loaded = load_checkpoint(tmp_path)
    waveforms, lengths = torch.randn(2, 5000) * 0.1, torch.tensor([5000, 3000])
    with torch.inference_mode():
        assert torch.equal(loaded(waveforms, lengths)[0], model.eval()(waveforms, lengths)[0])
    assert found == spec
    prefixes = ("head.", *(f"layers.{index}." for index in added))
    assert all(name.startswith(prefixes) for name in trained_tensors(loaded))


def test_only_what_learnt_is_saved(saved: tuple[Path, CtcModel]) -> None:
    folder, model = saved
    tensors = load_file(folder / WEIGHTS_FILE)
    assert tensors.keys() == trained_tensors(model).keys()
    assert all(name.startswith(("head.", "layers.1.self_attn")) for name in tensors)


def test_a_base_that_moved_can_be_named(
    saved: tuple[Path, CtcModel], whisper_base: Path, tmp_path: Path
) -> None:
    moved = tmp_path / "moved"
    moved.mkdir()
    for file in whisper_base.iterdir():
        (moved / file.name).write_bytes(file.read_bytes())
    found, _ = load_checkpoint(saved[0], base=str(moved))
    assert found.base == str(moved)


def test_the_very_commit_is_asked_for(
    spec: ModelSpec, whisper_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def fetch(*request: str | None) -> Path:
        asked.append(request)
        return whisper_base

    monkeypatch.setattr(bases, "fetch", fetch)
    named = spec.model_copy(update={"base": "someone/a-model", "base_revision": "v1"})
    assert find_base(named) == whisper_base
    assert find_base(named.model_copy(update={"base_commit": "0a" * 20})) == whisper_base
    assert asked == [("someone/a-model", "v1"), ("someone/a-model", "0a" * 20)]


def test_a_base_that_moved_has_no_revision(
    spec: ModelSpec, saved: tuple[Path, CtcModel], whisper_base: Path
) -> None:
    folder, model = saved
    save_checkpoint(folder, spec.model_copy(update={"base_revision": "v1"}), model)
    assert load_spec(folder).base_revision == "v1"
    assert load_spec(folder, base=str(whisper_base)) == spec


def test_checkpoints_from_before_revisions_load(saved: tuple[Path, CtcModel]) -> None:
    path = saved[0] / SPEC_FILE
    written = json.loads(path.read_text())
    del written["base_revision"], written["base_commit"]
    path.write_text(json.dumps(written))
    assert load_spec(saved[0]).base_commit is None


def test_another_base_is_refused(saved: tuple[Path, CtcModel], wav2vec2_base: Path) -> None:
    with pytest.raises(CheckpointInvalid, match="the checkpoint needs"):
        load_checkpoint(saved[0], base=str(wav2vec2_base))


@pytest.mark.parametrize("content", [None, b"", b"{}", b'{"base": 5}', b"\xff"])
def test_what_is_no_checkpoint_is_refused(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / SPEC_FILE).write_bytes(content)
    with pytest.raises(CheckpointInvalid, match="is not a checkpoint"):
        load_spec(tmp_path)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-8])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def remove(path: Path) -> None:
    path.unlink()


def drop_a_tensor(path: Path) -> None:
    tensors = load_file(path)
    del tensors["head.bias"]
    save_file(tensors, path)


def add_a_foreign_tensor(path: Path) -> None:
    save_file({**load_file(path), "layers.0.fc1.bias": torch.zeros(64)}, path)


def change_a_shape(path: Path) -> None:
    save_file({**load_file(path), "head.bias": torch.zeros(99)}, path)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (truncate, "cannot be read"),
        (empty, "cannot be read"),
        (remove, "cannot be read"),
        (drop_a_tensor, "1 tensors differ, first 'head.bias'"),
        (add_a_foreign_tensor, "1 tensors differ, first 'layers.0.fc1.bias'"),
        (change_a_shape, "does not fit the model.*head.bias"),
    ],
)
def test_damaged_weights_are_refused(
    saved: tuple[Path, CtcModel], damage: Callable[[Path], None], message: str
) -> None:
    damage(saved[0] / WEIGHTS_FILE)
    with pytest.raises(CheckpointInvalid, match=message):
        load_checkpoint(saved[0])
