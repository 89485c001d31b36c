import contextlib

import pytest
import regex

from model_export.errors import NormalisationInvalid, TextRefused
from model_export.transcripts.number_words import (
    DIGIT,
    known_languages,
    number_forms,
    spell_numbers,
)


def spelled(text: str, language: str) -> str:
    return " ".join(spell_numbers(text, language).split())


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("en", "3 dogs, 12.", "three dogs, twelve ."),
        ("en", "(12) [13]", "( twelve ) [ thirteen ]"),
        ("en", "a 12-year-old MP3", "a twelve -year-old MP three"),
        (
            "en",
            "1,234 and 3.14",
            "one thousand, two hundred and thirty-four and three point one four",
        ),
        (
            "en",
            "the 21st in 1999 and 2019",
            "the twenty-first in nineteen ninety-nine and twenty nineteen",
        ),
        ("en-US", "21", "twenty-one"),
        ("de", "1.200,5 Liter", "eintausendzweihundert Komma fünf Liter"),
        ("de", "der 2. Weltkrieg", "der zweite Weltkrieg"),
        ("de", "Es waren 2.", "Es waren zwei ."),
        ("de", "im Jahr 1990", "im Jahr neunzehnhundertneunzig"),
        ("de_CH", "1'200", "eintausendzweihundert"),
        ("cs", "1 200 lidí", "tisíc dvěstě lidí"),
        ("cs", "3,14 a 1999", "tři celá čtrnáct a tisíc devětset devadesát devět"),
        ("fr", "le 1er des 1\u202f200", "le premier des mille deux cents"),
        ("es", "el 3º de 1.234", "el tercero de mil doscientos treinta y cuatro"),
        ("ru", "5 книг", "пять книг"),
        ("uk", "5 книг", "п'ять книг"),
        ("tr", "2. Dünya", "ikinci Dünya"),
        ("ar", "٣ و ٣٬٥٠٠", "ثلاثة و ثلاثة آلاف و خمسمائة"),
        ("th", "มี3คน", "มีสามคน"),
        ("en_IN", "1,23,456", "one lakh, twenty-three thousand, four hundred and fifty-six"),
        ("kk", "12", "он екі"),
        ("nb", "12", "tolv"),
    ],
)
def test_numbers_become_words(language: str, text: str, expected: str) -> None:
    assert spelled(text, language) == expected


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "$5"),
        ("en", "5 %"),
        ("en", "20 °C"),
        ("en", "at -5"),
        ("en", "5-7"),
        ("en", "12:30"),
        ("en", "1/2"),
        ("en", "1.2.3"),
        ("en", "007"),
        ("en", "1234567890"),
        ("en", "0.50"),
        ("en", "0.05"),
        ("en", "the 1990s"),
        ("en", "1990's"),
        ("en", "3D"),
        ("en", "m²"),
        ("en", "½"),
        ("de", "12.05.2020"),
        ("cs", "3. května"),
        ("ar", "3.5"),
        ("es", "3ª"),
        ("ru", "1-я"),
        ("tr", "1990'da"),
    ],
)
def test_what_is_not_plainly_a_number_is_refused(language: str, text: str) -> None:
    with pytest.raises(TextRefused, match="cannot be spelled"):
        spell_numbers(text, language)


@pytest.mark.parametrize("language", ["hi", "el", "am", "xx"])
def test_a_language_without_number_words_is_named_with_those_that_have_them(language: str) -> None:
    with pytest.raises(
        NormalisationInvalid, match=f"for '{language}'; known languages: ar, az, be"
    ):
        number_forms(language)


def test_numbers_need_a_language() -> None:
    with pytest.raises(NormalisationInvalid, match="--language"):
        spell_numbers("5", None)


@pytest.mark.parametrize("language", known_languages())
def test_every_known_language_spells_or_refuses(language: str) -> None:
    for text in ("0", "1", "7", "21", "100", "1999", "12345", "5."):
        words = spell_numbers(text, language)
        assert not DIGIT.search(words)
        assert regex.search(r"\p{L}", words)
    for text in ("999999999", "3,25", "3.25", "3. a"):
        with contextlib.suppress(TextRefused):
            assert not DIGIT.search(spell_numbers(text, language))
