"""Make Spanish text to speak and for a language model, from packages whose licences allow it.

    apt-get download sword-text-sparv fortunes-es asterisk-core-sounds-es tuxpaint-stamps-default
    for package in *.deb; do dpkg -x "$package" packages; done
    pip install --no-deps --target packages chatterbot-corpus
    python -m model_export.corpora.spanish_text packages data/spanish-text

writes a text file of each source, a sentence or paragraph a line, and into `held-out` what the
Spanish test sets say: the prompts of Asterisk and the captions of Tux Paint.
"""

import html
import re
import struct
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import yaml

from model_export.corpora.asterisk import PROMPTS, transcripts
from model_export.corpora.spoken_spanish import spoken_spanish
from model_export.corpora.text_files import parse_folders, write_texts
from model_export.corpora.tuxpaint import read_captions

BIBLE = Path("usr/share/sword/modules/texts/ztext/spaRV1909eb")
TESTAMENTS = ("ot", "nt")
BLOCK = struct.Struct("<III")  # where a compressed book begins, its size, and its size unpacked
HEADING = re.compile(r"<title\b.*?</title>", re.DOTALL)
PARAGRAPH = re.compile(r"<(?:div|chapter|l)\b[^>]*>")
MARKUP = re.compile(r"<[^>]*>")
PROVERBS = Path("usr/share/games/fortunes/es/refranes.fortunes")
CHAT = Path("chatterbot_corpus/data/spanish")
# Accents that were written in 1909 and are not any more.
OLD_ACCENTS = {
    **{"á": "a", "é": "e", "ó": "o", "ú": "u"},
    **{"fué": "fue", "fuí": "fui", "dió": "dio", "vió": "vio", "vé": "ve", "dí": "di"},
}
OLD = re.compile(rf"\b({'|'.join(OLD_ACCENTS)})\b", re.IGNORECASE)


def main(arguments: list[str] | None = None) -> None:
    """Write the texts of the sources."""
    packages, out = parse_folders(__doc__, arguments)
    texts = {
        "bible": read_bible(packages / BIBLE),
        "proverbs": read_proverbs(packages / PROVERBS),
        "chat": read_chat(packages / CHAT),
        "everyday": spoken_spanish(),
    }
    held_out: dict[str, Iterable[str]] = {
        "asterisk": transcripts(packages / PROMPTS["es"].transcripts).values(),
        "tuxpaint": read_captions(packages, "es").values(),
    }
    write_texts(out, texts, held_out)


def read_bible(folder: Path) -> Iterator[str]:
    """Paragraphs of the Reina-Valera of 1909 (public domain), accents as they are written today.

    A module of SWORD keeps each book as a zlib stream of OSIS, an XML.
    """
    for testament in TESTAMENTS:
        compressed = (folder / f"{testament}.bzz").read_bytes()
        for start, size, _ in BLOCK.iter_unpack((folder / f"{testament}.bzs").read_bytes()):
            book = zlib.decompress(compressed[start : start + size]).decode("utf-8", "replace")
            for paragraph in PARAGRAPH.split(HEADING.sub("", book)):
                yield _modern(html.unescape(MARKUP.sub("", paragraph)).replace("\0", " "))


def _modern(text: str) -> str:
    return OLD.sub(lambda word: _like(word[0], OLD_ACCENTS[word[0].lower()]), text)


def _like(old: str, new: str) -> str:
    return new.capitalize() if old[0].isupper() else new


def read_proverbs(path: Path) -> Iterator[str]:
    """Traditional sayings (public domain) in fortunes-es."""
    for saying in path.read_text(encoding="utf-8").split("\n%\n"):
        yield saying.replace('"', "")


def read_chat(folder: Path) -> Iterator[str]:
    """Questions and answers of chatterbot-corpus (BSD-3-Clause)."""
    for path in sorted(folder.glob("*.yml")):
        for exchange in yaml.safe_load(path.read_text(encoding="utf-8"))["conversations"]:
            yield from (str(turn) for turn in exchange)


if __name__ == "__main__":
    main()
