"""AN4: spelled words, numbers, dates and commands by 84 people, an hour; a BSD licence of CMU.

    git clone https://github.com/sands-lab/SIDCo  # data/an4

holds it as CMU's an4_raw.bigendian does, whatever its README says of the order of bytes. Recorded
about 1991 by close microphones, 16 kHz. (Acero, Acoustical and Environmental Robustness in
Automatic Speech Recognition, Kluwer 1993.) The published halves share no speaker: the second
measures, some speakers of the first choose, and the others are learned from. Left out: two words
that are prompts of Asterisk too, which measure elsewhere.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from model_export.corpora.rows import Sentence, lot_of
from service.audio import SAMPLE_RATE_HZ

# What soundfile has to be told of the recordings, which have no header.
LAYOUT: dict[str, Any] = {
    "samplerate": SAMPLE_RATE_HZ,
    "channels": 1,
    "format": "RAW",
    "subtype": "PCM_16",
    "endian": "BIG",
}
HALVES = {"train": "an4_clstk", "test": "an4test_clstk"}
LINE = re.compile(r"(?:<s> )?(?P<text>.+?) (?:</s> )?\((?P<name>\w+-(?P<speaker>\w+)-b)\)")
PROMPTS = frozenset({"thirty", "nineteen"})
DEV_SHARE = 15  # one speaker of the first half in so many


def read_sentences(corpus: Path) -> Iterator[Sentence]:
    """Every sentence, half by half.

    Args:
        corpus: the folder an4, with `etc` and `wav`.

    Raises:
        FileNotFoundError: it is no such folder.
        ValueError: a transcript is not written as the corpus writes them.
    """
    for half, folder in HALVES.items():
        for line in (corpus / f"etc/an4_{half}.transcription").read_text("ascii").splitlines():
            found = LINE.fullmatch(line)
            if not found:
                raise ValueError(f"this is no transcript of AN4: {line!r}")
            text, name, speaker = found.group("text", "name", "speaker")
            recording = corpus / "wav" / folder / speaker / f"{name}.raw"
            if text.lower() not in PROMPTS:
                yield Sentence(recording, text.lower(), speaker, _split(half, speaker))


def _split(half: str, speaker: str) -> str:
    return "dev" if half == "train" and lot_of(speaker) % DEV_SHARE == 0 else half
