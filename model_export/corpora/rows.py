"""Rows of a manifest, what they are made of and what they amount to."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Row:
    """One utterance.

    Attributes:
        audio: path relative to the manifest.
        text: as the source writes it.
        seconds: duration.
        speaker: name inside the corpus.
        split: train, dev or test.
    """

    audio: str
    text: str
    seconds: float
    speaker: str
    split: str


@dataclass(frozen=True)
class Sentence:
    """A recording of a corpus, before it becomes a row.

    Attributes:
        recording: audio file.
        text: in lower case.
        speaker: name inside the corpus.
        split: train, dev or test.
    """

    recording: Path
    text: str
    speaker: str
    split: str


def lot_of(text: str) -> int:
    """A number drawn for a text by its letters alone, so that it never changes."""
    letters = "".join(filter(str.isalpha, text.lower()))
    return int.from_bytes(hashlib.sha256(letters.encode()).digest()[:8])


def write_manifest(path: Path, rows: Sequence[Row]) -> None:
    """Write rows as JSONL."""
    lines = (json.dumps(asdict(row), ensure_ascii=False) + "\n" for row in rows)
    path.write_text("".join(lines), encoding="utf-8")


def summarise(rows: Sequence[Row]) -> str:
    """Number of rows and speakers, and minutes of each split."""
    minutes: defaultdict[str, float] = defaultdict(float)
    for row in rows:
        minutes[row.split] += row.seconds / 60
    parts = ", ".join(f"{split} {minutes[split]:.0f} min" for split in sorted(minutes))
    return f"{len(rows)} rows, {len({row.speaker for row in rows})} speakers; {parts}"
