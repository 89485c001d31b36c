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


def test_the_words_of_phrases_are_to_be_expected():
    phrases = ["zero one two three four five six seven eight nine oh", "[unk]", "one", "x" * 51]
    setup = Setup().changed_by(VoskConfig(phrase_list=phrases))
    assert setup.hot_words == tuple(phrases[0].split())
    many = VoskConfig(phrase_list=[str(number) for number in range(1000)])
    assert len(Setup().changed_by(many).hot_words) == 100
