from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from model_export.checkpoint import (
    WEIGHTS_FILE,
    ModelSpec,
    build_from_spec,
    load_checkpoint,
    load_spec,
    save_checkpoint,
)
from model_export.cli import main
from model_export.mixing.freezing import trained_tensors


@pytest.fixture
def two(spec: ModelSpec, tmp_path: Path) -> tuple[Path, Path]:
    """Checkpoints that learned alike from different data."""
    folders = tmp_path / "first", tmp_path / "second"
    for seed, folder in enumerate(folders):
        torch.manual_seed(seed)
        own = {"data": ("shared#train", f"{folder.name}#train")}
        save_checkpoint(folder, spec.model_copy(update=own), build_from_spec(spec))
    return folders


def blend(first: Path, second: Path, out: Path, share: str = "0.25") -> int:
    return main(["blend", str(first), str(second), "--share", share, "--out", str(out)])


def test_a_blend_is_the_mean_of_each_weight(two: tuple[Path, Path], tmp_path: Path) -> None:
    assert blend(*two, tmp_path / "out") == 0
    first, second, found = (load_file(f / WEIGHTS_FILE) for f in (*two, tmp_path / "out"))
    assert found.keys() == first.keys()
    for name, value in found.items():
        torch.testing.assert_close(value, 0.75 * first[name] + 0.25 * second[name])
    load_checkpoint(tmp_path / "out")


def test_it_tells_the_data_of_both(two: tuple[Path, Path], tmp_path: Path) -> None:
    blend(*two, tmp_path / "out")
    assert load_spec(tmp_path / "out").data == ("shared#train", "first#train", "second#train")


def test_what_only_one_learned_is_the_others_base(
    two: tuple[Path, Path], spec: ModelSpec, tmp_path: Path
) -> None:
    more = spec.model_copy(update={"also_train": ("all",)})
    base, model = trained_tensors(build_from_spec(more)), build_from_spec(more)
    torch.manual_seed(7)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter)
    save_checkpoint(two[1], more, model)
    blend(*two, tmp_path / "out")
    _, found = load_checkpoint(tmp_path / "out")
    learned = load_file(two[0] / WEIGHTS_FILE)
    names = {name for name, _ in found.named_parameters()}
    assert names > learned.keys()
    for name, value in trained_tensors(found).items():
        first, second = learned.get(name, base[name]), model.get_parameter(name)
        torch.testing.assert_close(value, 0.75 * first + 0.25 * second)


def test_a_checkpoint_that_lacks_what_it_learned_is_refused(
    two: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tensors = load_file(two[1] / WEIGHTS_FILE)
    lost = min(tensors)
    save_file(
        {name: value for name, value in tensors.items() if name != lost}, two[1] / WEIGHTS_FILE
    )
    assert blend(*two, tmp_path / "out") == 2
    assert lost in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_checkpoints_of_different_kinds_are_refused(
    two: tuple[Path, Path], spec: ModelSpec, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = spec.model_copy(update={"window_frames": 77})
    save_checkpoint(two[1], other, build_from_spec(other))
    assert blend(*two, tmp_path / "out") == 2
    assert f"has window_frames {spec.window_frames}" in (error := capsys.readouterr().err)
    assert error.endswith("has 77\n")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("share", ["-0.1", "1.5", "nan"])
def test_a_share_outside_is_refused(
    two: tuple[Path, Path], tmp_path: Path, share: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert blend(*two, tmp_path / "out", share) == 2
    assert f"is {share}; it must lie in 0 to 1" in capsys.readouterr().err


def test_what_is_there_is_left_alone(two: tuple[Path, Path]) -> None:
    assert blend(*two, two[0]) == 2
    assert blend(two[0], two[0] / "nowhere", two[0].parent / "out") == 2
