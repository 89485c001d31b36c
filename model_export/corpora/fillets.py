"""Make a corpus of acted game dialogue, Czech or Dutch, from two Debian packages.

    apt-get download fillets-ng-data fillets-ng-data-cs
    mkdir -p data && for package in fillets-ng-data*.deb; do dpkg -x "$package" data/fillets; done
    python -m model_export.corpora.fillets data/fillets --language cs

writes data/fillets/cs.jsonl with the splits train, dev and test. Some 90 minutes by 26 characters
(cs) or 2 (nl), two of whom say most; 22 to 44 kHz; GPL-2. A sentence stands in one split only,
whoever says it.
"""

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

import soundfile

from model_export.corpora.rows import Row, lot_of, summarise, write_manifest

GAME = Path("usr/share/games/fillets-ng")
LINE = re.compile(
    r'dialogId\("(?P<name>[^"]+)",\s*"font_(?P<speaker>[^"]*)",\s*"(?:[^"\\]|\\.)*"\)\s*'
    r'dialogStr\("(?P<text>(?:[^"\\]|\\.)*)"\)'
)
ESCAPED = re.compile(r"\\(.)")
SLOWEST_CHARACTERS_PER_S = 3.0  # below, the recording holds more than its text
TEST_PERCENT, DEV_PERCENT = 20, 10


def main(arguments: list[str] | None = None) -> None:
    """Write the manifest."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("packages", type=Path, help="folder of the unpacked packages")
    parser.add_argument("--language", default="cs", choices=("cs", "nl"))
    options = parser.parse_args(arguments)
    rows = list(read_dialogues(options.packages, options.language))
    if not rows:
        parser.error(f"{options.packages / GAME} holds no dialogue in {options.language}")
    manifest = options.packages / f"{options.language}.jsonl"
    write_manifest(manifest, rows)
    print(f"{manifest}: {summarise(rows)}")


def read_dialogues(packages: Path, language: str) -> Iterator[Row]:
    """Every spoken line whose recording fits it, level by level."""
    for recording, text, speaker in spoken_lines(packages, language):
        seconds = round(soundfile.info(recording).duration, 3)
        if len(text) >= SLOWEST_CHARACTERS_PER_S * seconds:
            audio = recording.relative_to(packages).as_posix()
            yield Row(audio, text, seconds, speaker, split_of(text))


def spoken_lines(packages: Path, language: str) -> Iterator[tuple[Path, str, str]]:
    """Recording, text and speaker of every line that has a recording, level by level."""
    for script in sorted((packages / GAME / "script").glob(f"*/dialogs_{language}.lua")):
        recordings = packages / GAME / "sound" / script.parent.name / language
        for line in LINE.finditer(script.read_text(encoding="utf-8")):
            recording = recordings / f"{line['name']}.ogg"
            text = " ".join(ESCAPED.sub(r"\1", line["text"]).split())
            if text and recording.is_file():
                yield recording, text, line["speaker"]


def split_of(text: str) -> str:
    """train, dev or test, by a hash of the letters alone, so that it never changes."""
    percent = lot_of(text) % 100
    if percent < TEST_PERCENT:
        return "test"
    return "dev" if percent < TEST_PERCENT + DEV_PERCENT else "train"


if __name__ == "__main__":
    main()
