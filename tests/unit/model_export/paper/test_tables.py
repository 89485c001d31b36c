"""`wsm-export paper tables`, on a tiny encoder and a set of tones."""

import json
from pathlib import Path

import pytest
import soundfile

from model_export.cli import main
from model_export.paper.outcomes import Outcome
from model_export.paper.tables_page import PAGE


@pytest.fixture(scope="module")
def options(spoken, make_base, tmp_path_factory):
    """A Czech set of twelve clips, and an encoder of four layers; tests on development clips."""
    folder = tmp_path_factory.mktemp("paper")
    splits = ["train"] * 8 + ["dev"] * 4 + ["test"] * 4
    rows = [
        {
            "audio": str(clip.audio), "text": clip.text, "split": split, "corpus": "fillets",
            "seconds": soundfile.info(clip.audio).duration, "speaker": "someone",
        }
        for clip, split in zip([*spoken.clips, *spoken.clips[-4:]], splits, strict=True)
    ]  # fmt: skip
    (folder / "sets").mkdir()
    (folder / "sets" / "cs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return [
        "paper", "tables", "--base", str(make_base("whisper", encoder_layers=4)),
        "--sets", str(folder / "sets"), "--out", str(folder / "results"), "--seeds", "1",
        "--cache", str(folder / "frames"), "--page", str(folder / "page"),
        "--steps", "8", "--batch-s", "5", "--learning-rate", "0.02",
    ]  # fmt: skip


@pytest.fixture(scope="module")
def results(options):
    """Folder of the first table's outcomes."""
    assert main([*options, "--only", "table1", "--jobs", "2"]) == 0
    return Path(options[options.index("--out") + 1])


def test_the_best_step_of_every_model_of_a_table_is_tested(results):
    outcomes = [Outcome.model_validate_json(path.read_bytes()) for path in results.glob("cs*.json")]
    assert len(outcomes) == 12
    for outcome in outcomes:
        assert (outcome.train_clips, outcome.dev_clips, outcome.left_out) == (8, 4, 0)
        assert [each.step for each in outcome.evaluations] == [1, 2, 3, 4, 5, 6, 7, 8]
        (test,) = outcome.tests
        assert test.errors.cer_percent == pytest.approx(outcome.best.cer_percent)
    learning = {(each.experiment.mixer, each.experiment.depth): each.learning for each in outcomes}
    for depth in (1, 2, 4):
        assert learning["attention", depth] == learning["random-attention", depth]
    assert learning["wsm", 1] < learning["wsm", 2] < learning["wsm", 4]


def test_the_same_command_trains_nothing_again_and_another_ends_in_time(results, options, capsys):
    written = {path: path.stat().st_mtime_ns for path in results.iterdir()}
    assert main([*options, "--only", "table1"]) == 0
    assert capsys.readouterr() == ("", "")
    assert main([*options, "--only", "windows", "--limit-s", "0.001"]) == 0
    assert "7 experiments are left" in capsys.readouterr().err
    assert {path: path.stat().st_mtime_ns for path in results.iterdir()} == written


def test_the_page_has_a_row_for_each_model_with_what_a_step_costs(results, options):
    assert main([*options, "--render"]) == 0
    page = Path(options[options.index("--page") + 1], PAGE).read_text()
    table = page.partition("## Table 1")[2].partition("## ")[0]
    rows = [line for line in table.splitlines() if line.startswith(("| 1 ", "| 2 ", "| 4 "))]
    assert len(rows) == 12
    for row in rows:
        step_ms, peak_mb = row.rstrip("| ").split(" | ")[-2:]
        assert float(step_ms) > 0
        assert float(peak_mb) > 0


def test_a_set_that_cannot_be_read_is_told_and_its_models_are_left(options, tmp_path, capsys):
    sets = tmp_path / "cs.jsonl"
    row = {"audio": "no.flac", "text": "ano", "seconds": 1.0, "speaker": "someone"}
    sets.write_text(json.dumps(row | {"split": "train", "corpus": "fillets"}) + "\n")
    assert main([*options, "--only", "variants", "--sets", str(tmp_path)]) == 0
    told = capsys.readouterr().err
    assert "no.flac cannot be read" in told
    assert "4 experiments are left" in told
