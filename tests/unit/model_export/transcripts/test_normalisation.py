from pathlib import Path

import pytest

from model_export.errors import ManifestInvalid, NormalisationInvalid, TextRefused
from model_export.transcripts.normalisation import (
    BLANK,
    PUNCTUATION,
    WORD_DELIMITER,
    encode,
    frames_needed,
    make_vocabulary,
    normalise,
    read_vocabulary,
    require_usable,
    unknown_characters,
)
from model_export.transcripts.options import DEFAULT_RULES
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


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("tr", "İSTANBUL\u2019da ISPARTA", "istanbul'da ısparta"),
        ("tr-TR", "I\u0307", "i"),
        ("az", "QIZIL İŞ", "qızıl iş"),
        ("de", "STRAẞE, Straße; \u201eGeht\u2019s?\u201c", "straße straße geht's"),
        ("el", "ΟΔΥΣΣΕΥΣ, Ο ΣΟΦΟΣ.", "οδυσσευς ο σοφος"),
        ("cs", "Pr\u030ci\u0301lis\u030c z\u030clut\u030d", "příliš žlut\u030d"),
        ("cs", "\u201ePříliš žluťoučký\u201c \u2013 kůň", "příliš žluťoučký kůň"),
        ("hi", "हिन्दी, क्\u200dष और कि।", "हिन्दी क्ष और कि"),
        ("ar", "السَّلامُ عَلَيْكُم، مرحبـــا؟", "السَّلامُ عَلَيْكُم مرحبا"),
        ("fa", "می\u200cخواهم", "میخواهم"),
        ("th", "สวัสดีครับ ที่นี่", "สวัสดีครับ ที่นี่"),
        ("ja", "「東京」、です。", "東京 です"),
        ("uk", "П\u2019ять зʼїздів 'так'", "п'ять з'їздів так"),
        ("fr", "L\u2019été, c\u2019est \u00ab là-bas \u00bb !", "l'été c'est là bas"),
        (
            "en",
            "\u2018Don\u2019t,\u2019 the dogs\u2019 friends said.",
            "don't the dogs friends said",
        ),
        ("en", "it\u2019s \u2764\ufe0f 👍🏽 \u00b4", "it's"),
    ],
)
def test_each_language_by_the_default_rules(language: str, text: str, expected: str) -> None:
    rules = DEFAULT_RULES.model_copy(update={"language": language})
    assert normalise(text, rules) == expected


def test_digits_are_refused_kept_or_spelled() -> None:
    with pytest.raises(TextRefused, match="has digits, such as '4'"):
        normalise("room 42", TextNormalisation(digits="refuse"))
    with pytest.raises(TextRefused, match="'٣'"):
        normalise("٣ كتب", TextNormalisation(digits="refuse"))
    assert normalise("room 42", TextNormalisation(digits="keep")) == "room 42"
    spelled = TextNormalisation(digits="spell", language="cs")
    assert normalise("Má 1 200 očí.", spelled) == "má tisíc dvěstě očí"


def test_what_is_kept_inside_words_is_dropped_elsewhere() -> None:
    rules = TextNormalisation(keep="", keep_inside="'-")
    assert normalise("'a'b-c- -d 'e-'f a\u0301'b", rules) == "a'b-c d e f á'b"


def test_punctuation_can_be_kept() -> None:
    rules = TextNormalisation(keep=PUNCTUATION)
    assert normalise("¿Sí? नमस्ते। (No), 是。", rules) == "¿sí? नमस्ते। no , 是。"


def test_a_kept_joiner_stays() -> None:
    assert normalise("می\u200cخواهم", TextNormalisation(keep="\u200c")) == "می\u200cخواهم"


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        (TextNormalisation(keep=" "), "' ' stands between words"),
        (TextNormalisation(keep_inside="'|"), "'|' stands between words"),
        (TextNormalisation(digits="spell", language="el"), "no number words for 'el'"),
        (TextNormalisation(digits="spell"), "--language"),
    ],
)
def test_rules_that_cannot_be_followed(rules: TextNormalisation, message: str) -> None:
    with pytest.raises(NormalisationInvalid, match=message.replace("|", r"\|")):
        require_usable(rules)


def test_unknown_characters_are_counted_by_text() -> None:
    vocabulary = make_vocabulary(["ab c"])
    counts = unknown_characters(["a dd", "d | b", "ab"], vocabulary)
    assert counts == {"d": 2, "|": 1}


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
