"""A transcript as text in a file; written whole or not at all."""

import json
import os
from enum import StrEnum
from pathlib import Path

from service.ctc import Word
from service.schemas import TranscriptionBody
from service.subtitles import srt, vtt


class Format(StrEnum):
    """What can be written; the value is the suffix."""

    TXT = "txt"
    SRT = "srt"
    VTT = "vtt"
    JSON = "json"


def render(body: TranscriptionBody, form: Format) -> str:
    """The text of a file in a format; JSON as the server answers, but for the request."""
    words = [Word(one.word, one.start_s, one.end_s, one.confidence) for one in body.words]
    match form:
        case Format.TXT:
            return f"{body.text}\n"
        case Format.SRT:
            return srt(words, body.duration_s)
        case Format.VTT:
            return vtt(words, body.duration_s)
        case Format.JSON:
            return json.dumps(as_json(body), ensure_ascii=False, indent=1) + "\n"


def as_json(body: TranscriptionBody) -> dict[str, object]:
    """All but the request's id."""
    return body.model_dump(mode="json", exclude={"request_id"})


def write(path: Path, text: str) -> None:
    """Write a file that is there as a whole, even after a crash, or not at all.

    Raises:
        OSError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with unfinished.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
