import pytest
from dictated import TOKENS, Dictated, dictated_writer, holding

from service.attention_decoding.writer import Writer


@pytest.mark.parametrize("text", ["a bad test", "thé", ""])
def test_it_writes_until_the_end(text):
    assert dictated_writer().write(holding(text, 30)) == text


def test_spaces_are_single_and_between_words():
    assert dictated_writer().write(holding("  a   bad ", 30)) == "a bad"


def test_half_a_character_is_shown_as_unknown():
    tokens = [*TOKENS[:-3], "\xc3", "", ""]
    assert Writer(Dictated(), tokens, 50).write(holding("thé", 30)) == "th\ufffd"


def test_what_does_not_end_is_no_text():
    model = Dictated()
    assert Writer(model, TOKENS, 4).write(holding("abadtest", 30)) is None
    assert model.steps == 4
