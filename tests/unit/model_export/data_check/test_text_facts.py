from model_export.data_check.text_facts import (
    describe_digits,
    describe_texts,
    dropped_characters,
    every_symbol,
)


def named(*texts: str) -> list[tuple[str, str]]:
    return [(f"{number}.wav", text) for number, text in enumerate(texts)]


def test_words_and_sentences_are_counted() -> None:
    facts = describe_texts(named("a b a", "c", "c"))
    assert (facts.words, facts.vocabulary_words, facts.sentences) == (5, 3, 2)
    assert not facts.spaceless


def test_characters_come_with_their_clips() -> None:
    facts = describe_texts(named(*["ee e"] * 5, "xe"))
    first, second = facts.characters
    assert (first.character, first.count, first.clips, first.rare) == ("e", 16, 6, False)
    assert (second.character, second.example, second.rare) == ("x", "5.wav: xe", True)
    assert second.name == "LATIN SMALL LETTER X"


def test_a_letter_of_another_script_is_foreign_and_a_mark_is_not() -> None:
    facts = describe_texts(named(*["добрый день"] * 30, "\u0430\u0301 éто", "дo", "o'9"))
    assert {c.character for c in facts.characters if c.foreign} == {"é", "o"}


def test_a_language_of_several_scripts_has_none_that_is_foreign() -> None:
    facts = describe_texts(named(*["東京へ行きます", "カメラ"] * 9))
    assert not any(c.foreign for c in facts.characters)


def test_scripts_without_spaces_are_noticed() -> None:
    assert describe_texts(named("สวัสดีครับผมชื่อสมชาย", "ยินดีที่ได้รู้จักครับ")).spaceless


def test_no_text_is_no_crash() -> None:
    assert describe_texts([]).characters == ()


def test_what_each_choice_does_to_digits() -> None:
    facts = describe_digits(["a 1", "b", "c ٣ 4"], spelled=2)
    assert (facts.clips, facts.spelled, facts.example) == (2, 1, "a 1")
    facts = describe_digits(["a"], spelled=None, obstacle="no words")
    assert (facts.clips, facts.spelled, facts.obstacle, facts.example) == (
        0,
        None,
        "no words",
        None,
    )


def test_dropped_characters_are_counted_by_text() -> None:
    wide = ["a, b, 'c'", "it's 5 %,"]
    assert dropped_characters(["a b c", "it's 5"], wide) == {",": 2, "%": 1}
    assert {"%", "\u20ac", "。", "«"} < set(every_symbol())
    assert not {"|", "a", " ", "1"} & set(every_symbol())
