"""The sets of real speech that the tables are about, once they are made.

    <language>.jsonl       a clip a line: audio, text, seconds, speaker, split, corpus, path
    <language>/*.flac      16 kHz, mono; or *.opus

Reading them needs neither Debian nor decoders of other formats, so that they can be carried to
where a GPU is.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from model_export.errors import CorpusUnavailable
from model_export.paper.experiments import ALL, MAIN_ROLES, MINOR_ROLES
from model_export.transcripts.normalisation import normalise
from service.bundle import TextNormalisation

MAIN_SPEAKERS = frozenset({"fillets-cs-font_big", "fillets-cs-font_small"})


@dataclass(frozen=True)
class SetClip:
    """One utterance of a set.

    Attributes:
        audio: file, 16 kHz mono.
        text: normalised.
        seconds: duration.
        speaker: with corpus and language.
        split: train, dev or test.
        corpus: where it is from.
    """

    audio: Path
    text: str
    seconds: float
    speaker: str
    split: str
    corpus: str


def rules_of(language: str) -> TextNormalisation:
    """How the texts of a set are normalised."""
    return TextNormalisation(language=language, digits="refuse")


def manifest_of(folder: Path, language: str) -> Path:
    """Where the clips of a set are listed."""
    return folder / f"{language}.jsonl"


def read_set(folder: Path, language: str) -> list[SetClip]:
    """Every clip of a set.

    Raises:
        CorpusUnavailable: the set has not been made.
    """
    manifest, rules = manifest_of(folder, language), rules_of(language)
    if not manifest.exists():
        raise CorpusUnavailable(f"{manifest} is not there; `wsm-export paper sets` makes it")
    rows = map(json.loads, manifest.read_text(encoding="utf-8").splitlines())
    return [
        SetClip(
            audio=folder / row["audio"],
            text=normalise(row["text"], rules),
            seconds=row["seconds"],
            speaker=row["speaker"],
            split=row["split"],
            corpus=row["corpus"],
        )
        for row in rows
    ]


def has_part(clip: SetClip, part: str) -> bool:
    """Whether a clip is in a part of its set: all of it, a corpus, or roles of the Czech game."""
    if part in (MAIN_ROLES, MINOR_ROLES):
        return (clip.speaker in MAIN_SPEAKERS) == (part == MAIN_ROLES)
    return part in (ALL, clip.corpus)


def form_of(clips: Sequence[SetClip]) -> str:
    """How the audio of a set is stored, for the record."""
    size_bytes = sum(clip.audio.stat().st_size for clip in clips)
    rate = 8 * size_bytes / sum(clip.seconds for clip in clips) / 1000
    return f"{clips[0].audio.suffix.removeprefix('.')}, {rate:.0f} kbit/s"
