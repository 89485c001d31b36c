import gc
import gzip
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, pairwise

import numpy as np
import pytest
from language_models import FACTS, even_arpa, write_arpa
from said_frames import VOCABULARY, frames

from service.beam_search import BeamSearch, search
from service.bundle import LanguageModel
from service.ctc import Transcript
from service.errors import InvalidBundle, InvalidRequest

FRAME_S = 0.02
LEXICON = {"the": -0.9, "sea": -1.5, "see": -0.8, "été": -1.5}
PAIRS = {("<s>", "the"): -0.2, ("the", "sea"): -0.2, ("the", "see"): -1.8}


def facts(**changes):
    return LanguageModel(**{"file": "lm.arpa", **FACTS, **changes})


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write_arpa(tmp_path_factory.mktemp("lm") / "lm.arpa", LEXICON, PAIRS)


@pytest.fixture(scope="module")
def beam_search(path):
    return BeamSearch(VOCABULARY, facts(), path)


def decode(beam_search, said, hot_words=(), duration_s=None):
    logits = frames(said) if isinstance(said, str) else said
    duration_s = len(logits) * FRAME_S if duration_s is None else duration_s
    words = beam_search.words(
        logits, frame_s=FRAME_S, duration_s=duration_s, hot_words=tuple(hot_words)
    )
    return Transcript.of(chain.from_iterable(words))


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ("t_h_e_|_s_e_[ea]_|", "the sea"),
        ("s_e_[ea]_|", "see"),
        ("__||t_h_e||_", "the"),
        ("the_s_e_a", "the sea"),
        ("é_t_é", "été"),
        ("____", ""),
        ("||||", ""),
        ("s", ""),
        ("_", ""),
        ("", ""),
    ],
)
def test_the_likeliest_words_are_found(beam_search, said, text):
    assert decode(beam_search, said).text == text


def test_where_no_letter_is_the_likeliest_there_is_no_word(path):
    eager = BeamSearch(VOCABULARY, facts(word_score=8.0), path)
    noise = np.zeros((100, len(VOCABULARY.tokens)), np.float32)
    noise[:, VOCABULARY.blank_id] = 2.0
    assert decode(eager, noise).text == ""
    noise[40, VOCABULARY.tokens.index("s")] = 2.1
    assert decode(eager, noise).text != ""


def test_words_have_the_times_of_their_frames(beam_search):
    found = decode(beam_search, "__tthe_||s_e_aa_", duration_s=15.5 * FRAME_S)
    times = [(word.start_s, word.end_s) for word in found.words]
    assert times == [pytest.approx((0.04, 0.12)), pytest.approx((0.18, 0.30))]
    (last,) = decode(beam_search, "t_h_e", duration_s=4.5 * FRAME_S).words
    assert last.end_s == pytest.approx(4.5 * FRAME_S)


def test_no_word_has_a_long_pause(beam_search):
    assert decode(beam_search, "s___e___a|").text == "sea"
    words = decode(beam_search, f"the|se{'_' * 25}a|").words
    assert all(word.end_s - word.start_s < 0.5 for word in words)


def test_confidence_is_the_acoustic_model_s(beam_search):
    the, sea = decode(beam_search, "t_h_e_|_s_e_[ea]_|").words
    assert the.confidence == pytest.approx(1, abs=1e-3)
    assert sea.confidence == pytest.approx(0.5 ** (1 / 3), abs=1e-3)


def test_long_audio_is_searched_in_pieces_with_times_that_go_on(beam_search, monkeypatch):
    monkeypatch.setattr(search, "LONGEST_PIECE_S", 1.0)
    logits = frames("t_h_e_|_s_e_a__||" * 20)
    pieces = list(beam_search.words(logits, frame_s=FRAME_S, duration_s=len(logits) * FRAME_S))
    assert len(pieces) > 6
    words = list(chain.from_iterable(pieces))
    assert [word.word for word in words] == ["the", "sea"] * 20
    assert all(left.end_s < right.start_s for left, right in pairwise(words))
    assert words[-1].start_s == pytest.approx((19 * 17 + 8) * FRAME_S)


def test_a_hot_word_outside_the_lexicon_is_found_only_where_it_is_asked_for(beam_search):
    said = "t_h_e_|_b_a_d_|"
    assert "bad" not in decode(beam_search, said).text
    assert decode(beam_search, said, ["bad"]).text == "the bad"
    assert "bad" not in decode(beam_search, said).text


def test_a_hot_word_that_is_not_said_is_not_found(beam_search):
    assert decode(beam_search, "t_h_e_|_s_e_a_|", ["bad", "sea bad", "tes"]).text == "the sea"
    assert decode(beam_search, "_" * 50, ["bad"]).text == ""


def test_a_hot_word_of_the_lexicon_becomes_likelier(beam_search):
    said = "t_h_e_|_s_e_[ea]_|"
    assert decode(beam_search, said, ["see"]).text == "the see"


def test_hot_words_of_several_words_count_together(beam_search):
    said = "t_h_e_|_b_a_d_|_s_e_[ea]_|"
    assert decode(beam_search, said, ["bad sea"]).text == "the bad sea"
    assert decode(beam_search, said, ["bad see"]).text == "the bad see"
    words = decode(beam_search, said, ["bad sea"]).words
    assert [word.word for word in words] == ["the", "bad", "sea"]


def test_the_order_of_hot_words_does_not_matter(beam_search):
    said = "b_a_d_|_t_e_d_|_s_a_d_|"
    hot_words = ["bad", "ted", "sad"]
    assert decode(beam_search, said, hot_words) == decode(beam_search, said, hot_words[::-1])


def test_what_cannot_be_spelled_is_no_hot_word(beam_search):
    with pytest.raises(InvalidRequest, match="unknown: x y") as refused:
        beam_search.check_hot_words(["sea", "sea xy"])
    assert (refused.value.param, refused.value.found) == ("hot_words", "sea xy")
    assert refused.value.limit == "abdehsté"


def test_threads_find_what_one_finds(beam_search):
    logits = [np.random.default_rng(i).normal(size=(120, 10)).astype(np.float32) for i in range(8)]
    hot_words = [["bad"] if i % 2 else [] for i in range(8)]
    alone = [decode(beam_search, *both) for both in zip(logits, hot_words, strict=True)]
    assert len({transcript.text for transcript in alone}) > 4
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(decode, [beam_search] * 8, logits, hot_words))
    gc.collect()
    assert together == alone


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("ngram 2=3", "ngram 2=9"),
        ("ngram 2=3", "ngram 2=99999999999999"),
        ("-1.8", "0.7"),
        ("the see", "the unheard"),
        ("\\end\\", ""),
        ("<s>", "start"),
    ],
)
def test_a_damaged_model_is_an_invalid_bundle(path, tmp_path, old, new):
    damaged = tmp_path / "lm.arpa"
    damaged.write_text(path.read_text().replace(old, new))
    with pytest.raises(InvalidBundle, match="no n-gram model that can be used"):
        BeamSearch(VOCABULARY, facts(), damaged)


def test_a_model_may_be_compressed(path, beam_search, tmp_path):
    compressed = tmp_path / "lm.arpa.gz"
    compressed.write_bytes(gzip.compress(path.read_bytes()))
    said = "t_h_e_|_s_e_[ea]_|"
    found = decode(BeamSearch(VOCABULARY, facts(), compressed), said)
    assert found == decode(beam_search, said)


def test_a_model_of_another_script_is_an_invalid_bundle(tmp_path):
    foreign = even_arpa(tmp_path / "lm.arpa", ["море", "XYZ"])
    with pytest.raises(InvalidBundle, match="no word"):
        BeamSearch(VOCABULARY, facts(), foreign)
