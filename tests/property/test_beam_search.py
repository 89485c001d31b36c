from itertools import chain, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from language_models import FACTS, even_arpa

from service.beam_search import BeamSearch, search
from service.bundle import LanguageModel, Vocabulary
from service.pieces import cut_at_pauses

TOKENS = ("|", "a", "b", "_", "cd")
VOCABULARY = Vocabulary(tokens=TOKENS, blank_id=3, word_delimiter="|")
LEXICON = {"a", "ab", "bb", "acd", "cdcd"}
HOT_WORDS = ("bab", "a cdb")
FRAME_S = 0.02

sizes = st.integers(0, 120)
seeds = st.integers(0, 999)
scales = st.sampled_from([0.0, 1.0, 5.0, 100.0, 1e6])


@pytest.fixture(scope="module")
def beam_search(tmp_path_factory):
    path = even_arpa(tmp_path_factory.mktemp("lm") / "lm.arpa", LEXICON)
    return BeamSearch(VOCABULARY, LanguageModel(file=path.name, **FACTS), path)


@pytest.fixture(scope="module", autouse=True)
def _short_pieces():
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(search, "LONGEST_PIECE_S", 0.8)
        yield


def random_logits(frames, seed, scale):
    return (scale * np.random.default_rng(seed).normal(size=(frames, 5))).astype(np.float32)


@settings(deadline=None)
@given(sizes, seeds, scales, st.floats(0.001, 3.0), st.booleans())
def test_words_are_of_the_lexicon_and_lie_in_order(
    beam_search, frames, seed, scale, duration_s, with_hot_words
):
    hot_words = HOT_WORDS if with_hot_words else ()
    words = list(
        chain.from_iterable(
            beam_search.words(
                random_logits(frames, seed, scale),
                frame_s=FRAME_S,
                duration_s=duration_s,
                hot_words=hot_words,
            )
        )
    )
    assert {word.word for word in words} <= LEXICON | set(" ".join(hot_words).split())
    assert all(0 <= word.start_s < word.end_s <= duration_s for word in words)
    assert all(left.end_s <= right.start_s + 1e-9 for left, right in pairwise(words))
    assert all(0 <= word.confidence <= 1 for word in words)


@given(sizes, seeds, st.integers(2, 50))
def test_pieces_join_to_all_frames_and_none_is_too_long(frames, seed, longest_frames):
    logits = random_logits(frames, seed, 3.0)
    log_posteriors = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    pieces = cut_at_pauses(log_posteriors, VOCABULARY, longest_frames)
    assert [frame for start, end in pieces for frame in range(start, end)] == list(range(frames))
    assert all(0 < end - start <= longest_frames for start, end in pieces)
