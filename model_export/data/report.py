"""Telling which rows were skipped: a few on the screen, all in a file."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

from model_export.data.corpus import Corpus, Skipped

SKIPPED_FILE = "skipped.jsonl"
SHOWN_ROWS = 3


def summary_of(corpus: Corpus, name: str) -> Iterator[str]:
    """Lines on what was skipped: for each reason how many rows, and the first few.

    Args:
        corpus: what was read.
        name: of the corpus, for the messages.
    """
    if corpus.corrected:
        yield f"{name}: wrong stated durations, not used: {corpus.corrected}"
    rows_by_reason = defaultdict(list)
    for row in corpus.skipped:
        rows_by_reason[row.reason].append(row)
    for reason, rows in sorted(rows_by_reason.items(), key=lambda item: -len(item[1])):
        yield f"{name}: skipped {len(rows)}: {reason}"
        yield from (f"  {row.place}  {row.detail}".rstrip() for row in rows[:SHOWN_ROWS])
        if len(rows) > SHOWN_ROWS:
            yield f"  and {len(rows) - SHOWN_ROWS} more"


def write_skipped(path: Path, skipped: Iterable[Skipped]) -> None:
    """Write all skipped rows, as JSON lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(asdict(row)) + "\n" for row in skipped)
