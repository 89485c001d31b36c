"""The whole path: texts and a held-out set in, a model without the latter out."""

import json

import pytest

from model_export.cli import main
from model_export.language_model.arpa import read_words
from service.beam_search.arpa import read_unigrams
from service.config import PACKAGED_BUNDLE

PLANTED = [
    "Please hold the line, an agent will be right with you.",  # held out as it stands
    "please HOLD the line - an agent will be right with you!",  # the same to a listener
    "He said hold the line an agent will be right with us.",  # nine words in a row
    "Goodbye.",  # equal, however short
]
FREE = [
    "Hold the line, please.",
    "We said goodbye at 5. An agent will be right with us.",
    "Hold the wire, an agent will be right there.",
    "Ça va bien.",
]


@pytest.fixture
def texts(tmp_path):
    lines = [*PLANTED, *FREE, "I'll call you at 020."]
    (tmp_path / "talk.txt").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    rows = [
        {"audio": "gone.wav", "text": text, "split": split}
        for split, text in [("train", "An agent called."), ("dev", "Hold the agent."), *HELD_OUT]
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


HELD_OUT = [
    ("test", "Please hold the line, an agent will be right with you."),
    ("test", "Goodbye"),
]


def run(texts, *more):
    return main(
        [
            *("language-model", str(texts / "talk.txt"), f"{texts / 'rows.jsonl'}#train"),
            *("--out", str(texts / "lm.arpa"), "--held-out", f"{texts / 'rows.jsonl'}#test"),
            *("--digits", "spell", "--language", "en", *more),
        ]
    )


def test_held_out_sentences_are_left_out_and_counted(texts, capsys):
    assert run(texts, "--min-count", "1", "--dev", f"{texts / 'rows.jsonl'}#dev") == 0
    talk, rows, wrote, dev = capsys.readouterr().out.splitlines()
    assert talk == ("talk.txt: 5 sentences; held out: 4; numbers that cannot be spelled: 1")
    assert rows == "rows.jsonl#train: 1 sentences"
    assert wrote.startswith(f"wrote {texts / 'lm.arpa'}: ")
    assert wrote.endswith(f" {(texts / 'lm.arpa').stat().st_size:,} bytes")
    assert dev.startswith("rows.jsonl#dev: perplexity ")
    assert dev.endswith(", 0.0 % of the words unknown")
    assert {"five", "goodbye", "ça", "wire"} <= set(read_words(texts / "lm.arpa"))
    model = (texts / "lm.arpa").read_text(encoding="utf-8")
    assert "\the said" not in model
    assert "please hold" not in model
    assert "<s> goodbye" not in model
    assert "hold the line" in model


def test_a_bundle_says_what_words_can_be_spelled(texts, capsys):
    assert run(texts, "--min-count", "1", "--like", str(PACKAGED_BUNDLE)) == 0
    talk = capsys.readouterr().out.splitlines()[0]
    assert "characters outside the vocabulary: 1" in talk
    assert "ça" not in read_words(texts / "lm.arpa")


def test_words_of_a_dictionary_are_known_though_no_text_has_them(texts):
    (texts / "words.txt").write_text("Mailbox\nagent\nice cream\n\ngoodbye\n")
    assert run(texts, "--min-count", "1", "--known-words", str(texts / "words.txt")) == 0
    scores = read_unigrams(texts / "lm.arpa")
    assert "ice" not in scores
    assert "goodbye" in scores  # held out as a sentence, not as a word
    assert scores["mailbox"] == min(score for word, score in scores.items() if word != "<s>")
    assert scores["mailbox"] < scores["agent"]


def test_a_limit_that_cannot_be_kept_is_one_clear_line(texts, capsys):
    assert run(texts, "--max-bytes", "100") == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("wsm-")]
    assert line.endswith("the limit is 100")
