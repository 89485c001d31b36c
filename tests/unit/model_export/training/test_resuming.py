import pytest

from model_export.errors import CheckpointInvalid
from model_export.training.resuming import claim_run, newest_checkpoint, seal, sole_user


def test_a_run_goes_on_with_the_same_options_only(tmp_path):
    claim_run(tmp_path / "run", {"layers": (2, 3), "epochs": 4.0})
    claim_run(tmp_path / "run", {"layers": (2, 3), "epochs": 4.0})
    with pytest.raises(CheckpointInvalid, match=r"epochs 4\.0, not 5\.0"):
        claim_run(tmp_path / "run", {"layers": (2, 3), "epochs": 5.0})


@pytest.fixture
def checkpoints(tmp_path):
    """Two sealed checkpoints and one that was being written."""
    for step in (9, 10, 200):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        (folder / "optimizer.pt").write_bytes(b"moments")
        (folder / "trainer_state.json").write_text("{}")
        if step < 200:
            seal(folder)
    return tmp_path


def test_the_newest_whole_checkpoint_is_taken(checkpoints):
    assert newest_checkpoint(checkpoints / "missing") is None
    assert newest_checkpoint(checkpoints) == str(checkpoints / "checkpoint-10")


@pytest.mark.parametrize("content", [None, b"mome"])
def test_a_checkpoint_that_was_half_deleted_or_half_written_is_not_taken(checkpoints, content):
    file = checkpoints / "checkpoint-10" / "optimizer.pt"
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    assert newest_checkpoint(checkpoints) == str(checkpoints / "checkpoint-9")
    (checkpoints / "checkpoint-9" / "sealed.json").write_text('{"optimizer')
    assert newest_checkpoint(checkpoints) is None


def test_a_seal_can_be_renewed(checkpoints):
    checkpoint = checkpoints / "checkpoint-10"
    (checkpoint / "optimizer.pt").write_bytes(b"more moments")
    seal(checkpoint)
    assert newest_checkpoint(checkpoints) == str(checkpoint)


def test_a_folder_has_one_run_at_a_time(tmp_path):
    with sole_user(tmp_path / "run"):
        again = sole_user(tmp_path / "run")
        with pytest.raises(CheckpointInvalid, match="another process is training into"), again:
            pass
        with sole_user(tmp_path / "other"):
            pass
    with sole_user(tmp_path / "run"):
        pass
