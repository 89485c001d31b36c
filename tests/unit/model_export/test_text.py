from pathlib import Path

import pytest

from model_export.errors import ManifestInvalid
from model_export.text import (
    BLANK,
    WORD_DELIMITER,
    encode,
    frames_needed,
    make_vocabulary,
    normalise,
    read_vocabulary,
)
from service.bundle import TextNormalisation

RULES = TextNormalisation()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello, World!", "hello world"),
        ("  a\tb\n c ", "a b c"),
        ("don\u2019t \u02bcno\u2019", "don't 'no'"),
        ("mother-in-law", "mother in law"),
        ("room 101", "room 101"),
        ("cafe\u0301", "caf\u00e9"),
        ("\u0130stanbul", "i\u0307stanbul"),
        ("J\u030cu", "\u01f0u"),
        ("नमस्ते।", "नमस्ते"),
        ("", ""),
        ("?!", ""),
    ],
)
def test_normalise(text: str, expected: str) -> None:
    assert normalise(text, RULES) == expected


def test_rules_are_followed() -> None:
    rules = TextNormalisation(lowercase=False, keep="-", unicode_form="NFKC")
    assert normalise("\uff21-B's", rules) == "A-B s"


def test_vocabulary_is_ordered_and_has_no_space() -> None:
    vocabulary = make_vocabulary(["cab a", "b'd"])
    assert vocabulary.tokens == (BLANK, WORD_DELIMITER, "'", "a", "b", "c", "d")
    assert vocabulary.blank_id == 0
    assert vocabulary.word_delimiter == WORD_DELIMITER


def test_encode() -> None:
    vocabulary = make_vocabulary(["ab"])
    assert encode("ab b", vocabulary) == [2, 3, 1, 3]
    with pytest.raises(KeyError):
        encode("c", vocabulary)


def test_vocabulary_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "characters.txt"
    path.write_text("b\na\n\n'\n", encoding="utf-8")
    assert read_vocabulary(path) == make_vocabulary(["ab'"])


@pytest.mark.parametrize("content", [b"a\nbc\n", b"\xff\xfe"])
def test_other_files_are_no_vocabulary(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "characters.txt"
    path.write_bytes(content)
    with pytest.raises(ManifestInvalid, match=r"characters\.txt"):
        read_vocabulary(path)


@pytest.mark.parametrize(
    ("labels", "frames"), [([], 0), ([1], 1), ([1, 2], 2), ([1, 1], 3), ([1, 1, 1, 2, 2], 8)]
)
def test_frames_needed_counts_a_blank_between_twins(labels: list[int], frames: int) -> None:
    assert frames_needed(labels) == frames
