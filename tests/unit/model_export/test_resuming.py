import pytest

from model_export.errors import CheckpointInvalid
from model_export.resuming import claim_run, newest_checkpoint


def test_a_run_goes_on_with_the_same_options_only(tmp_path):
    claim_run(tmp_path / "run", {"layers": (2, 3), "epochs": 4.0})
    claim_run(tmp_path / "run", {"layers": (2, 3), "epochs": 4.0})
    with pytest.raises(CheckpointInvalid, match=r"epochs 4\.0, not 5\.0"):
        claim_run(tmp_path / "run", {"layers": (2, 3), "epochs": 5.0})


def test_the_newest_whole_checkpoint_is_taken(tmp_path):
    assert newest_checkpoint(tmp_path / "missing") is None
    for step, state in ((9, "{}"), (10, "{}"), (200, '{"epoch"'), (300, None)):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        if state is not None:
            (folder / "trainer_state.json").write_text(state)
    assert newest_checkpoint(tmp_path) == str(tmp_path / "checkpoint-10")
