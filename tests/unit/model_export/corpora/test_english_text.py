import gzip
import json
import zlib

import numpy as np
import pytest
import rdata

from model_export.corpora import english_text
from model_export.corpora.asterisk import PROMPTS
from model_export.corpora.english_text import read_chat, read_wordnet


def serialised(folder, value):
    rdata.write_rds(folder / "value.rds", value, compression=None)
    return (folder / "value.rds").read_bytes()


@pytest.fixture
def packages(tmp_path):
    """A little of each package, as it lies there."""
    for place in (english_text.AUSTEN, english_text.WORDNET, english_text.ADDRESSES):
        (tmp_path / place).mkdir(parents=True)
    novels = {
        "emma": ["EMMA", "", "She was _very_ handsome,", "and clever--indeed."],
        "sensesensibility": ["The family of Dashwood", "had long been settled."],
    }
    places, objects = {}, b""
    for name, lines in novels.items():
        entry = b"\0\0\0\0" + zlib.compress(serialised(tmp_path, np.array(lines)))
        places[name] = np.array([len(objects), len(entry)], dtype=np.int32)
        objects += entry
    index = serialised(tmp_path, {"variables": places})
    (tmp_path / english_text.AUSTEN / "Rdata.rdb").write_bytes(objects)
    (tmp_path / english_text.AUSTEN / "Rdata.rdx").write_bytes(gzip.compress(index))
    (tmp_path / english_text.WORDNET / "data.noun").write_text(
        '01 | a place to live; "she has a home"; "at home again"  \n  1 This software\n'
    )
    messages = [[{"text": "Im sure  you dont."}], [{"text": "ok"}]]
    (tmp_path / "chitchat_dataset").mkdir()
    (tmp_path / english_text.CHAT).write_text(json.dumps({"id": {"messages": messages}}))
    for year in (1945, 1946):
        speech = tmp_path / english_text.ADDRESSES / f"{year}-Truman-1.txt"
        speech.write_text(f"Spoken in {year}.\n\nThank you.\n")
    dictionary = tmp_path / english_text.DICTIONARY
    dictionary.parent.mkdir(parents=True)
    dictionary.write_text("mailbox\nmailbox's\no'clock\n")
    prompts = tmp_path / PROMPTS["en"].transcripts
    prompts.parent.mkdir(parents=True)
    prompts.write_bytes(gzip.compress(b"; comment\nvm-goodbye: Goodbye.\n"))
    return tmp_path


def test_every_source_is_a_file_and_test_sets_lie_apart(packages, tmp_path, capsys):
    out = tmp_path / "out"
    english_text.main([str(packages), str(out)])
    texts = {path.relative_to(out).as_posix(): path.read_text() for path in out.rglob("*.txt")}
    numbers = texts.pop("numbers.txt").splitlines()
    assert len(set(numbers)) > 5000
    assert texts == {
        "austen.txt": "EMMA\nShe was very handsome, and clever - indeed.\n",
        "wordnet.txt": "she has a home\nat home again\n",
        "chat.txt": "I'm sure you don't.\nok\n",
        "words.txt": "mailbox\no'clock\n",
        "addresses.txt": "Spoken in 1946.\nThank you.\n",
        "held-out/sense-and-sensibility.txt": "The family of Dashwood had long been settled.\n",
        "held-out/asterisk.txt": "Goodbye.\n",
    }
    assert "chat.txt: 2 lines, 5 words" in capsys.readouterr().out


def test_only_examples_of_wordnet_are_sentences(packages):
    assert "a place to live" not in list(read_wordnet(packages / english_text.WORDNET))


def test_words_with_an_apostrophe_are_mended_only_where_nothing_else_can_be_meant(tmp_path):
    chat = tmp_path / "chat.json"
    texts = ["WHATS that", "its well", "we were ill", "imagine"]
    chat.write_text(json.dumps({"id": {"messages": [[{"text": text} for text in texts]]}}))
    assert list(read_chat(chat)) == ["what's that", *texts[1:]]
