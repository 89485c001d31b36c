from itertools import pairwise

import numpy as np
import pytest
from language_models import FACTS, write_arpa
from said_frames import VOCABULARY, frames

from service.beam_search import BeamSearch
from service.bundle import LanguageModel

FRAME_S = 0.02
CHUNK_FRAMES = 16
LEXICON = {"the": -0.9, "sea": -1.5, "see": -0.8, "été": -1.5}
PAIRS = {("<s>", "the"): -0.2, ("the", "sea"): -0.2, ("the", "see"): -1.8}
SAID = "t_h_e_|_s_e_[ea]__||" * 30


@pytest.fixture(scope="module")
def beam_search(tmp_path_factory):
    path = write_arpa(tmp_path_factory.mktemp("lm") / "lm.arpa", LEXICON, PAIRS)
    return BeamSearch(VOCABULARY, LanguageModel(file="lm.arpa", **FACTS), path)


def chunks(logits):
    return [logits[first : first + CHUNK_FRAMES] for first in range(0, len(logits), CHUNK_FRAMES)]


def texts(words):
    return [word.word for word in words]


@pytest.fixture
def growing(beam_search):
    return beam_search.growing(frame_s=FRAME_S)


def test_words_are_told_when_they_are_over(growing):
    assert texts(growing.add(frames("t_h_e"))) == []
    assert texts(growing.add(frames("_|_s_e_"))) == ["the"]
    assert texts(growing.add(frames("[ea]"))) == ["the"]
    assert texts(growing.add(frames("_||_"))) == ["the", "sea"]


def test_words_and_times_are_those_of_the_whole_utterance(beam_search, growing):
    logits = frames(SAID)
    for chunk in chunks(logits):
        words = growing.add(chunk)
    (expected,) = beam_search.words(logits, frame_s=FRAME_S, duration_s=len(logits) * FRAME_S)
    assert texts(words) == texts(expected) == ["the", "sea"] * 30
    for word, whole in zip(words, expected, strict=True):
        assert (word.start_s, word.end_s) == pytest.approx((whole.start_s, whole.end_s))
        assert word.confidence == pytest.approx(whole.confidence, abs=0.02)


def test_settled_words_stay_and_only_the_last_ones_are_not_settled(growing):
    for count, chunk in enumerate(chunks(frames(SAID))):
        before = list(growing.settled)
        words = growing.add(chunk)
        assert growing.settled[: len(before)] == before
        assert list(words[: len(growing.settled)]) == growing.settled
        if count > 10:
            assert len(words) - len(growing.settled) <= 10


def test_a_later_word_can_still_change_what_is_not_settled(growing):
    (first,) = growing.add(frames("s_e_[ea]_|_"))
    assert first.word == "see"
    assert not growing.settled


def test_minutes_without_a_word_are_followed_by_words(growing):
    for _ in range(400):
        assert growing.add(frames("_" * CHUNK_FRAMES)) == ()
    (word,) = growing.add(frames("t_h_e_||_"))
    assert (word.word, word.start_s) == ("the", pytest.approx(400 * CHUNK_FRAMES * FRAME_S))


def test_hot_words_are_found_while_they_are_said(beam_search):
    said = frames("t_h_e_|_b_a_d_||_")
    assert texts(beam_search.growing(frame_s=FRAME_S, hot_words=["bad"]).add(said))[1] == "bad"
    assert "bad" not in texts(beam_search.growing(frame_s=FRAME_S).add(said))


def test_noise_gives_words_in_order(growing):
    noise = np.random.default_rng(0)
    for _ in range(60):
        words = growing.add(noise.normal(scale=3, size=(16, 10)).astype(np.float32))
    assert words
    for word, following in pairwise(words):
        assert 0 <= word.start_s < word.end_s <= following.start_s + 1e-9
        assert 0 <= word.confidence <= 1
