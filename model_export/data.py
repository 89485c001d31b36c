"""Manifests: which clips there are, and what is said in them."""

import csv
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model_export.errors import ManifestInvalid
from model_export.text import normalise
from service.bundle import TextNormalisation, Vocabulary

DELIMITERS = {".csv": ",", ".tsv": "\t"}


@dataclass(frozen=True)
class Clip:
    """One utterance with its transcript.

    Attributes:
        audio: path of the recording.
        text: normalised transcript, not empty.
        seconds: duration, if the manifest states it.
    """

    audio: Path
    text: str
    seconds: float | None


@dataclass(frozen=True)
class Corpus:
    """The usable rows of a manifest, and why the others are not.

    Attributes:
        clips: at least one.
        skipped: a line each, naming the row and its fault.
    """

    clips: tuple[Clip, ...]
    skipped: tuple[str, ...]


def read_corpus(reference: str, rules: TextNormalisation) -> Corpus:
    """Read a JSONL, CSV or TSV manifest with the fields audio, text and, if known, seconds.

    Args:
        reference: path, with `#NAME` behind it to take only rows whose field split is NAME. Audio
            paths are relative to the manifest.
        rules: applied to every transcript.

    Raises:
        ManifestInvalid: the file cannot be read, lacks a field, or no row of it is usable.
    """
    name, _, split = reference.partition("#")
    path = Path(name).expanduser()
    clips: list[Clip] = []
    skipped: list[str] = []
    for line, row in _rows(path):
        if split and row.get("split") != split:
            continue
        clip = _clip(path, line, row, rules)
        if fault := _fault(clip):
            skipped.append(f"{path}:{line}: {fault}")
        else:
            clips.append(clip)
    if not clips:
        raise ManifestInvalid(
            f"{reference} has no usable row; {len(skipped)} skipped"
            + (f", first: {skipped[0]}" if skipped else "")
        )
    return Corpus(tuple(clips), tuple(skipped))


def keep_spellable(corpus: Corpus, vocabulary: Vocabulary) -> Corpus:
    """Skip clips whose text has characters outside the vocabulary.

    Raises:
        ManifestInvalid: that is every clip.
    """
    spellable = {*vocabulary.tokens, " "} - {vocabulary.word_delimiter}
    odd = {clip: sorted(set(clip.text) - spellable) for clip in corpus.clips}
    faults = tuple(f"{clip.audio}: not in the vocabulary: {odd[clip]}" for clip in odd if odd[clip])
    kept = tuple(clip for clip in corpus.clips if not odd[clip])
    if not kept:
        raise ManifestInvalid(f"no text fits the vocabulary; first: {faults[0]}")
    return Corpus(kept, (*corpus.skipped, *faults))


def _rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line number and fields of each row."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            if delimiter := DELIMITERS.get(path.suffix.lower()):
                yield from enumerate(csv.DictReader(lines, delimiter=delimiter), start=2)
            else:
                for number, line in enumerate(lines, start=1):
                    if line.strip():
                        yield number, _object(f"{path}:{number}", json.loads(line))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, csv.Error) as error:
        raise ManifestInvalid(f"{path} cannot be read as a manifest: {error}") from error


def _object(place: str, row: object) -> dict[str, Any]:
    if not isinstance(row, dict):
        raise ManifestInvalid(f"{place} is no object with fields: {row!r}")
    return row


def _clip(path: Path, line: int, row: dict[str, Any], rules: TextNormalisation) -> Clip:
    place = f"{path}:{line}"
    if missing := [name for name in ("audio", "text") if row.get(name) is None]:
        found = ", ".join(str(name) for name in row)
        raise ManifestInvalid(f"{place} has no {missing[0]!r}; its fields are: {found}")
    if not isinstance(row["audio"], str):
        raise ManifestInvalid(f"{place}: audio is {row['audio']!r}, not a path")
    return Clip(
        audio=path.parent / row["audio"],
        text=normalise(str(row["text"]), rules),
        seconds=_seconds(place, row.get("seconds")),
    )


def _seconds(place: str, stated: str | float | None) -> float | None:
    """The stated duration; a wrong one would spoil the size of batches."""
    if stated is None or stated == "":
        return None
    try:
        seconds = float(stated)
    except (TypeError, ValueError):
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise ManifestInvalid(f"{place}: seconds is {stated!r}, not a positive number")
    return seconds


def _fault(clip: Clip) -> str | None:
    if not clip.text:
        return "the text is empty"
    if not clip.audio.is_file():
        return f"{clip.audio} does not exist"
    return None
