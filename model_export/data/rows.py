"""What every source of data gives: rows. A source is a module with a `SOURCE` of its own."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from model_export.data.corpus import Skipped
from model_export.data.recordings import Audio

TEXT_COLUMNS = (
    "text",
    "sentence",
    "transcription",
    "transcript",
    "normalized_text",
    "raw_transcription",
)
SPEAKER_COLUMNS = ("speaker", "speaker_id", "client_id")


@dataclass(frozen=True)
class Row:
    """One utterance as its source has it.

    Attributes:
        place: for messages.
        audio: not opened yet.
        text: as it is written.
        seconds: the duration as it is stated, if it is.
        speaker: if known.
    """

    place: str
    audio: Audio
    text: str
    seconds: object = None
    speaker: str | None = None


Rows = Iterator[Row | Skipped]


@dataclass(frozen=True)
class Source:
    """A kind of data on disk.

    Attributes:
        kind: for messages.
        signs: what it is recognised by, for messages.
        recognises: whether a path looks like it; opens as little as it can.
        rows: given path and split (empty for none), all rows. Raises `ManifestInvalid` where
            nothing of it can be used.
    """

    kind: str
    signs: str
    recognises: Callable[[Path], bool]
    rows: Callable[[Path, str], Rows]


def first_named(names: Iterable[str], fields: Mapping[str, object]) -> object:
    """The first of some fields that a row has; None if it has none."""
    return next((fields[name] for name in names if fields.get(name) is not None), None)


def speaker_of(fields: Mapping[str, object]) -> str | None:
    """Who speaks, by the usual names of the field."""
    speaker = first_named(SPEAKER_COLUMNS, fields)
    return None if speaker in (None, "") else str(speaker)
