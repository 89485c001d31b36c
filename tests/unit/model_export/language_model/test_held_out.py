import pytest

from model_export.language_model.held_out import HeldOut

HELD_OUT = HeldOut.of(["hello", "one two three four five six seven eight nine"])


@pytest.mark.parametrize(
    "sentence",
    [
        "hello",
        "one two three four five six seven eight nine",
        "zero one two three four five six seven eight",
        "and two three four five six seven eight nine ten",
    ],
)
def test_equal_sentences_and_eight_words_in_a_row_are_repetitions(sentence):
    assert HELD_OUT.repeated_by(sentence)


@pytest.mark.parametrize(
    "sentence",
    [
        "hello again",
        "one two three four five six seven",
        "one two three four or five six seven eight nine",
        "",
    ],
)
def test_fewer_words_in_a_row_are_language(sentence):
    assert not HELD_OUT.repeated_by(sentence)
