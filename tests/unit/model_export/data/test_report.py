import json
from pathlib import Path

from model_export.data import Clip, Corpus, Reason, Skipped, summary_of, write_skipped

ROWS = (
    Skipped("rows.csv:9", Reason.TOO_SHORT, "0.01 s"),
    *(Skipped(f"rows.csv:{line}", Reason.EMPTY_TEXT, "") for line in range(2, 7)),
)
CORPUS = Corpus((Clip(Path("a.wav"), "a", 1.0),), ROWS, corrected=4)


def test_the_summary_counts_by_reason_and_shows_a_few() -> None:
    assert list(summary_of(CORPUS, "train")) == [
        "train: wrong stated durations, not used: 4",
        "train: skipped 5: empty text",
        "  rows.csv:2",
        "  rows.csv:3",
        "  rows.csv:4",
        "  and 2 more",
        "train: skipped 1: audio too short",
        "  rows.csv:9  0.01 s",
    ]


def test_the_file_has_all(tmp_path: Path) -> None:
    path = tmp_path / "new" / "skipped.jsonl"
    write_skipped(path, ROWS)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert lines[0] == {"place": "rows.csv:9", "reason": "audio too short", "detail": "0.01 s"}
    assert len(lines) == len(ROWS)
