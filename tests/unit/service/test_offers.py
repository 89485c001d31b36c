import pytest

from service.errors import InvalidRequest
from service.offers import Offer, Offers

OFFERS = Offers(
    Offer("english", ("en",)),
    (Offer("iberian", ("es", "pt-BR")), Offer("nordic", ("nb", "sv")), Offer("spanish", ("es",))),
)


@pytest.mark.parametrize(
    ("model", "language", "name"),
    [
        (None, None, "english"),
        (None, "en", "english"),
        (None, "sv", "nordic"),
        ("spanish", None, "spanish"),
        ("spanish", "en", "spanish"),  # refused by whoever knows the model
    ],
)
def test_a_name_goes_before_a_language_and_the_default_before_the_others(model, language, name):
    assert OFFERS.choose(model, language).name == name


@pytest.mark.parametrize(
    ("model", "language", "param", "limit"),
    [
        ("finnish", None, "model", ["english", "iberian", "nordic", "spanish"]),
        (None, "fi", "language", ["en", "es", "pt-BR", "nb", "sv"]),
        (None, "es", "model", ["iberian", "spanish"]),
    ],
)
def test_what_is_not_there_or_not_clear_is_refused_with_what_there_is(
    model, language, param, limit
):
    with pytest.raises(InvalidRequest) as caught:
        OFFERS.choose(model, language)
    assert (caught.value.param, caught.value.limit) == (param, limit)
    assert all(name in caught.value.message for name in limit)


@pytest.mark.parametrize(
    ("language", "model", "meant"),
    [
        ("en-US", None, "en"),
        ("SV_se", None, "sv"),
        ("pt-BR", None, "pt-BR"),
        ("pt", None, "pt"),
        ("sv-SE", "english", "sv-SE"),
        ("", None, None),
    ],
)
def test_a_region_is_left_out_where_only_the_language_is_served(language, model, meant):
    assert OFFERS.meant(language, model) == meant
