import pytest

from service.errors import InvalidRequest
from service.options import MAX_HOT_WORD_CHARACTERS, MAX_HOT_WORDS, Options


def test_fields_are_read():
    fields = {"language": "en", "model": "m", "decoding": "beam", "hot_words": " Ann,New  York ,"}
    assert Options.of(fields) == Options("en", "m", "beam", ("Ann", "New York"))


def test_empty_fields_ask_for_nothing():
    assert Options.of({}) == Options.of(dict.fromkeys(("decoding", "hot_words"), "")) == Options()


def test_a_hot_word_counts_once():
    assert Options.of({"hot_words": "b,a,b"}).hot_words == ("b", "a")


def test_a_decoding_that_there_is_not_is_refused():
    with pytest.raises(InvalidRequest, match="'best', only greedy, beam") as refused:
        Options.of({"decoding": "best"})
    error = refused.value
    assert (error.param, error.found, error.limit) == (
        "decoding",
        "best",
        ["greedy", "beam", "attention"],
    )


@pytest.mark.parametrize(
    ("hot_words", "found", "limit"),
    [
        (",".join(map(str, range(MAX_HOT_WORDS + 1))), MAX_HOT_WORDS + 1, MAX_HOT_WORDS),
        ("a" * 60, 60, MAX_HOT_WORD_CHARACTERS),
    ],
)
def test_too_many_or_too_long_hot_words_are_refused(hot_words, found, limit):
    with pytest.raises(InvalidRequest) as refused:
        Options.of({"hot_words": hot_words})
    error = refused.value
    assert (error.param, error.found, error.limit) == ("hot_words", found, limit)
