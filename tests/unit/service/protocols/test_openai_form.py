import pytest

from service.errors import InvalidRequest, ModelNotFound
from service.offers import Offer, Offers
from service.protocols.openai_form import OPENAI_MODELS, Asked


def asked(languages=("en", "de"), **fields):
    return Asked.of(fields, Offers(Offer("tiny", languages), (Offer("other", ("fr",)),)))


def test_nothing_is_needed():
    found = asked()
    assert (found.options.language, found.options.model, found.hints) == (None, None, ())
    assert (found.response_format, found.is_stream) == ("json", False)
    assert found.granularities == {"segment"}


@pytest.mark.parametrize(
    ("tag", "language"),
    [
        ("en", "en"),
        ("en-US", "en"),
        ("DE_at", "de"),
        ("", None),
        ("tlh", "tlh"),
        ("tlh-x", "tlh-x"),
    ],
)
def test_regions_are_left_out_of_languages(tag, language):
    assert asked(language=tag).options.language == language


def test_a_region_that_is_served_is_kept():
    assert asked(("pt", "pt-BR"), language="pt-BR").options.language == "pt-BR"


@pytest.mark.parametrize("name", ["timestamp_granularities[]", "timestamp_granularities"])
@pytest.mark.parametrize("listed", ["word\nsegment", "segment,word", " word segment\n"])
def test_granularities_come_in_any_way(name, listed):
    assert asked(**{name: listed}).granularities == {"word", "segment"}


def test_keywords_and_prompt_are_hints():
    found = asked(**{"keywords[]": "New York\n\nBath", "prompt": "Elliot"})
    assert found.hints == ("New York", "Bath", "Elliot")


@pytest.mark.parametrize(("value", "is_stream"), [("true", True), ("True", True), ("false", False)])
def test_stream(value, is_stream):
    assert asked(stream=value).is_stream is is_stream


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"response_format": "ass"}, "response_format"),
        ({"response_format": "vtt", "stream": "true"}, "response_format"),
        ({"timestamp_granularities[]": "word\nletter"}, "timestamp_granularities[]"),
        ({"decoding": "best"}, "decoding"),
    ],
)
def test_what_there_is_not_is_refused(fields, param):
    with pytest.raises(InvalidRequest) as caught:
        asked(**fields)
    assert caught.value.param == param
    assert caught.value.found
    assert caught.value.limit


@pytest.mark.parametrize("name", ["", *OPENAI_MODELS, "gpt-4o-mini-transcribe-2025-12-15"])
def test_names_of_openai_s_models_leave_it_to_the_language(name):
    assert asked(model=name).options.model is None


def test_names_of_ours_are_kept_and_know_their_own_regions():
    found = asked(("pt", "pt-BR"), model="other", language="fr-BE").options
    assert (found.model, found.language) == ("other", "fr")


@pytest.mark.parametrize(
    "name",
    ["Tiny", "whisper-2", "2025-12-15", "gpt-4o-transcribe-diarize", "../tiny", "whisper-1-"],
)
def test_other_names_are_refused(name):
    with pytest.raises(ModelNotFound) as caught:
        asked(model=name)
    assert caught.value.limit[:2] == ["tiny", "other"]
