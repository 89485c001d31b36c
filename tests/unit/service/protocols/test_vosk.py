import pytest

from service.errors import InvalidRequest
from service.protocols.vosk import Setup, VoskConfig, parse


def config(text):
    return parse(text).config


@pytest.mark.parametrize("text", ['{"eof":1}', '{ "eof" : 1 }', '{"eof": true, "more": [1]}'])
def test_json_is_read_however_it_is_spaced(text):
    assert parse(text).eof


@pytest.mark.parametrize("text", ["", "eof", "[1]", '{"config": 1}', '{"config": {"words": []}}'])
def test_what_cannot_be_read_is_refused(text):
    with pytest.raises(InvalidRequest):
        parse(text)


def test_what_is_left_out_stays():
    setup = Setup().changed_by(config('{"config": {"sample_rate": 16000.0, "words": 0}}'))
    assert (setup.sample_rate_hz, setup.has_words) == (16_000, False)
    setup = setup.changed_by(config('{"config": {"max_alternatives": 2, "model": "../x"}}'))
    assert (setup.sample_rate_hz, setup.has_words, setup.has_alternatives) == (16_000, False, True)
    assert not setup.changed_by(VoskConfig(max_alternatives=0)).has_alternatives


def test_phrases_are_words_to_expect():
    phrases = '{"config": {"phrase_list": [" new  york ", "[unk]", "a, b", "new york"]}}'
    setup = Setup().changed_by(config(phrases))
    assert setup.options(takes_hot_words=True).hot_words == ("new york", "a b")
    assert setup.options(takes_hot_words=False).hot_words == ()
    long = Setup(hot_words=("x" * 51,))
    with pytest.raises(InvalidRequest, match="51 characters"):
        long.options(takes_hot_words=True)
