"""Make a test set of caption readings from the Debian package of Tux Paint's stamps.

    apt-get download tuxpaint-stamps-default
    dpkg -x tuxpaint-stamps-default*.deb data/tuxpaint
    python -m model_export.corpora.tuxpaint data/tuxpaint --language es

writes data/tuxpaint/es.jsonl. One or a few readers a language, ogg at 44.1 kHz, some of it hot or
quiet; GPL-2: for measuring. Readings whose text is not what is said are left out: digits, brackets,
and fewer than three characters a second.
"""

import argparse
import re
from pathlib import Path

import soundfile

from model_export.corpora.rows import Row, summarise, write_manifest

STAMPS = Path("usr/share/tuxpaint/stamps")
UNSPOKEN = re.compile(r"[\d\[\]()<>$%]")
SLOWEST_CHARACTERS_PER_S = 3.0


def main(arguments: list[str] | None = None) -> None:
    """Write the manifest."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("packages", type=Path, help="folder of the unpacked package")
    parser.add_argument("--language", default="es")
    options = parser.parse_args(arguments)
    rows = []
    for recording, text in read_captions(options.packages, options.language).items():
        seconds = round(soundfile.info(recording).duration, 3)
        if not UNSPOKEN.search(text) and len(text) >= SLOWEST_CHARACTERS_PER_S * seconds:
            audio = recording.relative_to(options.packages).as_posix()
            rows.append(Row(audio, text, seconds, f"tuxpaint-{options.language}", "test"))
    if not rows:
        parser.error(f"{options.packages / STAMPS} holds no readings in {options.language!r}")
    manifest = options.packages / f"{options.language}.jsonl"
    write_manifest(manifest, rows)
    print(f"{manifest}: {summarise(rows)}")


def read_captions(packages: Path, language: str) -> dict[Path, str]:
    """Caption of each stamp that is read in a language, by its recording."""
    captions = {}
    for recording in sorted((packages / STAMPS).rglob(f"*_desc_{language}.ogg")):
        stamp = recording.name.removesuffix(f"_desc_{language}.ogg")
        if text := _caption(recording.with_name(f"{stamp}.txt"), language):
            captions[recording] = text
    return captions


def _caption(path: Path, language: str) -> str | None:
    if not path.is_file():
        return None
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    texts = (line.partition("=") for line in lines)
    return next((text.strip() for name, _, text in texts if name == f"{language}.utf8"), None)


if __name__ == "__main__":
    main()
