"""English game dialogue of the Debian package flight-of-the-amazon-queen, four hours.

The adventure game of 1995, whose licence allows copies and changes: some thirty actors, 11 kHz, MP3
of 16 kbit/s. One file holds everything, behind a table of names; all numbers are big-endian.

Two kinds of files hold texts, and say which recordings speak them. Dialogues (.DOG): what Joe, the
player, says, and what he is told; recordings are named by the dialogue's key, the line's number and
J or P. Cut-scenes (.CUT): recordings are named by scene and line. A star in a text starts a gesture
and ends a recording. What Joe says of things is left out: its numbers do not fit its texts.
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CONTAINER = Path("usr/share/scummvm/flight-of-the-amazon-queen/queen.1c")
MAGIC = b"QTBLCEM10"
ENTRIES_AT = 13
ENTRY = struct.Struct(">12sBII")
BANK_BYTES = 20  # header of a bank, before its data
DIALOGUE = struct.Struct(">hhhhh12xh")
LEVEL_BYTES, LEVELS_AT = 96, 32
CUT_SCENE = struct.Struct(">6xhhh")
GESTURE = re.compile(r"\*(?:\d\d?|[A-Z]{1,2}\d*)")


@dataclass(frozen=True)
class Line:
    """What one recording says.

    Attributes:
        name: of the recording, without suffix.
        text: as the game shows it.
        speaker: Joe, who a dialogue is with, or a cut-scene.
        mp3: the recording, mono.
    """

    name: str
    text: str
    speaker: str
    mp3: bytes


def spoken_lines(packages: Path) -> Iterator[Line]:
    """Every line that is both written and recorded.

    Args:
        packages: folder of the unpacked package.

    Raises:
        ValueError: the container is another than that package's.
    """
    files = read_container((packages / CONTAINER).read_bytes())
    for name, data in files.items():
        if name.endswith(".DOG"):
            lines = _dialogue(data[BANK_BYTES:], name.removesuffix(".DOG").rstrip("0123456789"))
        elif name.endswith(".CUT"):
            lines = _cut_scene(data[BANK_BYTES:], name.removesuffix(".CUT"))
        else:
            continue
        for prefix, text, speaker in lines:
            for part, words in enumerate(GESTURE.split(text), start=1):
                recording = f"{prefix}{part:X}"
                if words.strip() and f"{recording}.SB" in files:
                    yield Line(recording, words.strip(), speaker, files[f"{recording}.SB"])


def read_container(data: bytes) -> dict[str, bytes]:
    """Files of the game, by name."""
    if not data.startswith(MAGIC):
        raise ValueError(f"this is not the game's file: it begins with {data[: len(MAGIC)]!r}")
    entries = int.from_bytes(data[ENTRIES_AT : ENTRIES_AT + 2], "big")
    table = data[ENTRIES_AT + 2 :][: entries * ENTRY.size]
    return {
        name.rstrip(b"\0").decode("ascii"): data[start : start + size]
        for name, _, start, size in ENTRY.iter_unpack(table)
    }


def _dialogue(data: bytes, person: str) -> Iterator[tuple[str, str, str]]:
    levels, _, key, joes, persons, persons_at = DIALOGUE.unpack_from(data)
    halves = (
        ("J", "Joe", LEVELS_AT + levels * LEVEL_BYTES, joes),
        ("P", person, persons_at, persons),
    )
    for letter, speaker, at, count in halves:
        for _ in range(count):
            number = int.from_bytes(data[at + 2 : at + 4], "big")
            text, length = _string(data, at + 4)
            at += 4 + -(-length // 4) * 4
            yield f"{key:02d}{number:04X}{letter}", text, speaker


def _cut_scene(data: bytes, scene: str) -> Iterator[tuple[str, str, str]]:
    _, at, end = CUT_SCENE.unpack_from(data)
    line = 0
    while at < end:
        text, length = _string(data, at)
        at += length
        at += at % 2 if text else 0
        yield f"{scene:_<5}{line:02d}", text, f"scene {scene}"
        line += 1


def _string(data: bytes, at: int) -> tuple[str, int]:
    """A text and the bytes that it takes, its length's among them."""
    length = data[at]
    return data[at + 1 : at + 1 + length].decode("latin-1"), 1 + length
