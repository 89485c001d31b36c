"""All real speech with transcripts that Debian's packages hold, under one rule and one split.

Thirteen languages, seven hours: game dialogue (fillets), caption readings (tuxpaint) and telephone
prompts (asterisk), each described in its own module. A clip is left out whose text is not what is
said (digits, brackets, signs), that is shorter than 0.4 s, or whose length does not fit its text.
A sentence stands in one split only, whoever says it.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import soundfile

from model_export.corpora import asterisk, fillets, tuxpaint

UNSPOKEN = re.compile(r"[\d\[\]()<>%$]")
WORD = re.compile(r"[\w']+")
SHORTEST_S = 0.4
CHARACTERS_PER_S = (3.0, 25.0)
TRAIN_PERCENT, DEV_PERCENT = 70, 10
ONLY_TESTED = frozenset({"da"})  # too little to learn from
G722_BYTES_PER_S = 8000

STAMPS = "tuxpaint-stamps-default"
STAMP_LANGUAGES = ("be", "bg", "ca", "da", "el", "es", "fr", "nl", "ro", "ru")
DIALOGUE_LANGUAGES = ("cs", "nl")
LANGUAGES = tuple(sorted({*STAMP_LANGUAGES, *DIALOGUE_LANGUAGES, *asterisk.VOICES}))


@dataclass(frozen=True)
class RealClip:
    """One recording.

    Attributes:
        corpus: asterisk, fillets or tuxpaint.
        path: relative to the folder of the unpacked packages.
        language: code.
        text: as the source writes it, with single spaces.
        seconds: duration.
        speaker: with corpus and language.
        split: train, dev or test.
    """

    corpus: str
    path: str
    language: str
    text: str
    seconds: float
    speaker: str
    split: str


Found = tuple[Path, str, str]  # recording, text, speaker


def packages_of(language: str) -> tuple[str, ...]:
    """Debian packages that hold the speech of a language and its texts."""
    packages: list[str] = []
    if language in DIALOGUE_LANGUAGES:
        packages += ["fillets-ng-data", f"fillets-ng-data-{language}"]
    if language in asterisk.VOICES:
        core = f"asterisk-core-sounds-{language}"
        packages += [core, f"{core}-g722"]
    if language in STAMP_LANGUAGES:
        packages.append(STAMPS)
    return tuple(packages)


def read_real_speech(packages: Path, language: str) -> list[RealClip]:
    """Every clip of a language, corpus by corpus.

    Args:
        packages: folder of the unpacked packages.
        language: code.
    """
    found: dict[str, Iterable[Found]] = {}
    if language in DIALOGUE_LANGUAGES:
        found["fillets"] = _dialogues(packages, language)
    if language in asterisk.VOICES:
        found["asterisk"] = _prompts(packages, language)
    if language in STAMP_LANGUAGES:
        found["tuxpaint"] = _captions(packages, language)
    return [
        RealClip(
            corpus=corpus,
            path=recording.relative_to(packages).as_posix(),
            language=language,
            text=text,
            seconds=round(seconds, 3),
            speaker=speaker,
            split=split_of(text, language),
        )
        for corpus, clips in found.items()
        for recording, text, speaker in clips
        if fits(text, seconds := duration_s(recording))
    ]


def fits(text: str, seconds: float) -> bool:
    """Whether a recording of that length can hold a text that is spoken as it is written."""
    slowest, fastest = CHARACTERS_PER_S
    characters = len(_words(text))
    return (
        not UNSPOKEN.search(text)
        and seconds >= SHORTEST_S
        and slowest <= characters / seconds <= fastest
    )


def split_of(text: str, language: str) -> str:
    """train, dev or test, by a hash of the words, so that it never changes."""
    digest = hashlib.sha256((language + _words(text)).encode()).hexdigest()
    percent = int(digest, 16) % 100
    if language in ONLY_TESTED or percent >= TRAIN_PERCENT + DEV_PERCENT:
        return "test"
    return "train" if percent < TRAIN_PERCENT else "dev"


def duration_s(recording: Path) -> float:
    """Duration of a recording."""
    if recording.suffix == ".g722":  # without a header
        return recording.stat().st_size / G722_BYTES_PER_S
    return float(soundfile.info(recording).duration)


def _words(text: str) -> str:
    return " ".join(WORD.findall(text.lower()))


def _dialogues(packages: Path, language: str) -> Iterator[Found]:
    for recording, text, role in fillets.spoken_lines(packages, language):
        yield recording, text, f"fillets-{language}-font_{role}"


def _prompts(packages: Path, language: str) -> Iterator[Found]:
    prompts = asterisk.PROMPTS[language]
    for name, text in asterisk.transcripts(packages / prompts.transcripts).items():
        recording = packages / prompts.sounds / f"{name}.g722"
        if recording.is_file():
            yield recording, text, f"asterisk-{language}"


def _captions(packages: Path, language: str) -> Iterator[Found]:
    for recording, text in tuxpaint.read_captions(packages, language).items():
        yield recording, " ".join(text.split()), f"tuxpaint-{language}-?"  # perhaps more than one
