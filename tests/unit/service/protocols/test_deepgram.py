import pytest
from starlette.datastructures import QueryParams

from service.errors import InvalidRequest
from service.offers import Offer, Offers
from service.protocols.deepgram import parse
from service.protocols.deepgram_query import Listening

OFFERS = Offers(Offer("tiny", ("en", "pt-BR")))


def listening(query):
    return Listening.of(QueryParams(query), silence_s=0.7, offers=OFFERS)


def test_without_a_query_a_container_comes_and_only_finals_are_told():
    wish = listening("").wish
    assert (wish.audio.encoding, wish.interim, wish.silence_s) == ("container", False, 0.7)
    assert (wish.utterance_end_s, wish.options.language) == (None, None)


@pytest.mark.parametrize(
    ("query", "silence_s"), [("endpointing=300", 0.3), ("endpointing=false", None)]
)
def test_what_ends_an_utterance_is_the_clients_to_say(query, silence_s):
    assert listening(query).wish.silence_s == silence_s


@pytest.mark.parametrize(
    ("language", "meant"),
    [("en", "en"), ("en-US", "en"), ("pt-BR", "pt-BR"), ("multi", None), ("xx-YY", "xx-YY")],
)
def test_a_language_is_found_with_and_without_its_region(language, meant):
    assert listening(f"language={language}").wish.options.language == meant


@pytest.mark.parametrize(
    ("model", "meant"),
    [
        ("nova-3", None),
        ("2-general-nova", None),
        ("whisper-large", None),
        ("tiny", "tiny"),
        ("x", "x"),
    ],
)
def test_names_of_deepgrams_models_leave_it_to_the_language(model, meant):
    assert listening(f"model={model}").wish.options.model == meant


@pytest.mark.parametrize(
    ("encoding", "rate_hz"), [("linear16", 16_000), ("mulaw", 8000), ("alaw", 8000)]
)
def test_the_usual_rate_depends_on_the_encoding(encoding, rate_hz):
    assert listening(f"encoding={encoding}").wish.audio.sample_rate_hz == rate_hz
    other = listening(f"encoding={encoding}&sample_rate=48000&channels=2").wish.audio
    assert (other.sample_rate_hz, other.channels) == (48_000, 2)


def test_terms_to_expect_may_come_several_times():
    options = listening("keyterm=new+york&keyterm=elliot").wish.options
    assert options.hot_words == ("new york", "elliot")


@pytest.mark.parametrize("query", ["encoding=amr", "channels=x", "sample_rate=-1", "channels=²"])
def test_what_cannot_be_read_is_refused(query):
    with pytest.raises(InvalidRequest):
        listening(query)


def test_control_messages_are_json_with_a_type():
    assert parse('{"type": "Finalize", "channel": [0, 1]}') == "Finalize"
    for text in ("", "[]", '{"kind": 1}', "Finalize"):
        with pytest.raises(InvalidRequest):
            parse(text)
