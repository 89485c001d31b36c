import gzip
import zlib

import pytest

from model_export.corpora import spanish_text, tuxpaint
from model_export.corpora.asterisk import PROMPTS

BOOKS = {
    "ot": ['<title>Génesis</title><chapter n="1"/>EN el principio <w n="1">fué</w> á él.'],
    "nt": ["<div/>Y vió a Juan &amp; Pedro:<div/>Él dió pan. Á casa.", "<div/>Qué dirá de tí."],
}


@pytest.fixture
def packages(tmp_path):
    """A little of each package, as it lies there."""
    bible = tmp_path / spanish_text.BIBLE
    bible.mkdir(parents=True)
    for testament, books in BOOKS.items():
        index, blocks = b"", b""
        for book in books:
            block = zlib.compress(book.encode())
            index += spanish_text.BLOCK.pack(len(blocks), len(block), len(book.encode()))
            blocks += block
        (bible / f"{testament}.bzs").write_bytes(index)
        (bible / f"{testament}.bzz").write_bytes(blocks)
    proverbs = tmp_path / spanish_text.PROVERBS
    proverbs.parent.mkdir(parents=True)
    sayings = 'A "ayer" lo conocí. \n%\nQuien pregunta,\nno yerra.\n%\n'
    proverbs.write_text(sayings, encoding="utf-8")
    chat = tmp_path / spanish_text.CHAT
    chat.mkdir(parents=True)
    (chat / "origen.yml").write_text(
        "categories:\n- origen\nconversations:\n- - ¿Quién eres?\n  - Sí, yo.\n", encoding="utf-8"
    )
    prompts = tmp_path / PROMPTS["es"].transcripts
    prompts.parent.mkdir(parents=True)
    prompts.write_bytes(gzip.compress(b"vm-goodbye: Adios.\n"))
    stamp = tmp_path / tuxpaint.STAMPS / "dog.txt"
    stamp.parent.mkdir(parents=True)
    stamp.write_text("A dog.\nes.utf8=Un perro.\n")
    stamp.with_name("dog_desc_es.ogg").touch()
    return tmp_path


def test_every_source_is_a_file_and_test_sets_lie_apart(packages, tmp_path):
    out = tmp_path / "out"
    spanish_text.main([str(packages), str(out)])
    texts = {path.relative_to(out).as_posix(): path.read_text() for path in out.rglob("*.txt")}
    assert len(set(texts.pop("everyday.txt").splitlines())) > 5000
    assert texts == {
        "bible.txt": (
            "EN el principio fue a él.\nY vio a Juan & Pedro:\nÉl dio pan. A casa.\n"
            "Qué dirá de tí.\n"
        ),
        "proverbs.txt": "A ayer lo conocí.\nQuien pregunta, no yerra.\n",
        "chat.txt": "¿Quién eres?\nSí, yo.\n",
        "held-out/asterisk.txt": "Adios.\n",
        "held-out/tuxpaint.txt": "Un perro.\n",
    }
