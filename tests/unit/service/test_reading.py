from itertools import chain

import numpy as np
import pytest
from attention_bundle import make_attention_bundle
from language_models import add_language_model
from tiny_bundle import HOP, RATE_HZ, TOKENS, make_bundle, speak

from service.backends import load_model
from service.bundle import load_bundle
from service.errors import InvalidBundle, InvalidRequest
from service.options import MAX_HOT_WORD_CHARACTERS, MAX_HOT_WORDS, Options
from service.reading import open_reader

SAID = "a_k_a_b_|"


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    """A bundle without a language model, and one with."""
    folder = tmp_path_factory.mktemp("bundles")
    bare = make_bundle(folder / "bare")
    rich = add_language_model(bare, folder / "rich", ["acab", "a"])
    return load_bundle(bare), load_bundle(rich)


def read(reader, options):
    labels = [0 if one == "_" else TOKENS.index(one) for one in SAID]
    logits = np.eye(len(TOKENS), dtype=np.float32)[labels] * 9
    words = chain.from_iterable(reader.read(logits, len(SAID) * HOP / RATE_HZ, options))
    return " ".join(word.word for word in words)


@pytest.mark.parametrize(
    ("has_model", "setting", "default", "text"),
    [
        (False, "auto", "greedy", "akab"),
        (False, "greedy", "greedy", "akab"),
        (True, "auto", "beam", "acab"),
        (True, "beam", "beam", "acab"),
        (True, "greedy", "greedy", "akab"),
    ],
)
def test_the_setting_and_the_bundle_choose_the_default(bundles, has_model, setting, default, text):
    reader = open_reader(bundles[has_model], setting)
    assert reader.default == default
    assert reader.decodings == (("greedy", "beam") if has_model else ("greedy",))
    assert read(reader, Options()) == text


def test_a_request_may_choose_otherwise(bundles):
    assert read(open_reader(bundles[1]), Options(decoding="greedy")) == "akab"
    assert read(open_reader(bundles[1], "greedy"), Options(decoding="beam")) == "acab"


def test_hot_words_are_written_as_the_model_writes(bundles):
    reader = open_reader(bundles[1], "greedy")
    assert read(reader, Options(hot_words=("AKAB",))) == "akab"
    assert read(reader, Options(decoding="beam")) == "acab"


@pytest.mark.parametrize(
    ("has_model", "options", "param", "why"),
    [
        (False, Options(decoding="beam"), "decoding", "no language model"),
        (False, Options(hot_words=("a",)), "hot_words", "no language model"),
        (True, Options(decoding="greedy", hot_words=("a",)), "hot_words", "not greedy"),
        (True, Options(hot_words=("a1",)), "hot_words", "unknown: 1"),
    ],
)
def test_what_cannot_be_done_is_refused(bundles, has_model, options, param, why):
    with pytest.raises(InvalidRequest, match=why) as refused:
        open_reader(bundles[has_model]).check(options)
    assert refused.value.param == param


def test_beam_search_cannot_be_the_default_without_a_language_model(bundles):
    with pytest.raises(InvalidBundle, match="tiny has no language model"):
        open_reader(bundles[0], "beam")


def test_hints_become_hot_words_as_far_as_they_can_be_had(bundles):
    reader = open_reader(bundles[1])
    hints = ("Akab", "zwölf", "a" * (MAX_HOT_WORD_CHARACTERS + 1), "new york", "Akab")
    hinted = reader.hinted(Options(hot_words=("cab",)), hints)
    assert hinted.hot_words == ("cab", "Akab", "new york")
    reader.check(hinted)
    letters = "abcdefghijklmnop"
    many = [first + second for first in letters for second in letters]
    assert len(reader.hinted(Options(), many).hot_words) == MAX_HOT_WORDS


@pytest.mark.parametrize(
    ("has_model", "setting", "options"),
    [
        (False, "auto", Options()),
        (True, "greedy", Options()),
        (True, "auto", Options(decoding="greedy")),
    ],
)
def test_hints_are_ignored_where_words_are_found_greedily(bundles, has_model, setting, options):
    assert open_reader(bundles[has_model], setting).hinted(options, ["akab"]) == options


@pytest.fixture(scope="module")
def attentive(tmp_path_factory):
    """A bundle whose attention decoder writes c for k, and one that has a language model too."""
    folder = tmp_path_factory.mktemp("attentive")
    bare = make_attention_bundle(folder / "bare", {"k": "c"})
    rich = add_language_model(bare, folder / "rich", ["akab", "bad"])
    return load_bundle(bare), load_bundle(rich)


def hear(bundle, text, setting="auto", **options):
    waveform = speak(text)
    model = load_model(bundle, device="cpu", sessions=1).model
    logits, _ = model.infer(waveform[np.newaxis], np.array([waveform.size]))
    reader = open_reader(bundle, setting)
    words = chain.from_iterable(reader.read(logits[0], waveform.size / RATE_HZ, Options(**options)))
    return [word.word for word in words]


def test_attention_is_the_default_where_there_is_a_decoder(attentive):
    reader = open_reader(attentive[1])
    assert (reader.default, reader.decodings) == ("attention", ("greedy", "beam", "attention"))
    assert open_reader(attentive[0]).decodings == ("greedy", "attention")
    for bundle in attentive:
        assert hear(bundle, "akab bad") == ["acab", "bad"]


def test_ctcs_own_text_can_be_had_too(attentive):
    assert hear(attentive[0], "akab bad", decoding="greedy") == ["akab", "bad"]
    assert hear(attentive[1], "akab bad", decoding="beam") == ["akab", "bad"]
    assert hear(attentive[1], "akab bad", "greedy") == ["akab", "bad"]


def test_hot_words_stand_in_the_text_of_attention(attentive):
    assert hear(attentive[1], "akab bad", hot_words=("AKAB",)) == ["akab", "bad"]
    with pytest.raises(InvalidRequest, match="no language model"):
        open_reader(attentive[0]).check(Options(hot_words=("a",)))


def test_words_for_a_moment_are_those_of_the_first_pass(attentive):
    bare, rich = map(open_reader, attentive)
    assert bare.hasty(Options()).decoding == "greedy"
    assert rich.hasty(Options()).decoding == "beam"
    assert rich.hasty(Options(decoding="greedy")).decoding == "greedy"


def test_attention_cannot_be_had_without_a_decoder(bundles):
    with pytest.raises(InvalidBundle, match="tiny has no attention decoder"):
        open_reader(bundles[1], "attention")
    with pytest.raises(InvalidRequest, match="tiny has no attention decoder") as refused:
        open_reader(bundles[1]).check(Options(decoding="attention"))
    assert (refused.value.found, refused.value.limit) == ("attention", ["greedy", "beam"])
