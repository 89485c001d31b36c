"""Logits read as they come give the words of all logits at once."""

from dataclasses import replace
from itertools import chain

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from language_models import FACTS, even_arpa

from service.beam_search import BeamSearch, search
from service.bundle import LanguageModel, TextNormalisation, Vocabulary
from service.lone_sounds import SETTLED_S, without_weak_sounds
from service.options import Options
from service.reading import Output, Reader

VOCABULARY = Vocabulary(tokens=("|", "a", "b", "_", "cd"), blank_id=3, word_delimiter="|")
FRAME_S = 0.02
OUTPUT = Output("tiny", VOCABULARY, TextNormalisation(), FRAME_S, len(VOCABULARY.tokens))


@pytest.fixture(scope="module")
def readers(tmp_path_factory):
    path = even_arpa(tmp_path_factory.mktemp("lm") / "lm.arpa", {"a", "ab", "bb", "acd", "cdcd"})
    beam_search = BeamSearch(VOCABULARY, LanguageModel(file=path.name, **FACTS), path)
    return [Reader(OUTPUT), Reader(OUTPUT, beam_search)]


@pytest.fixture(scope="module", autouse=True)
def _short_pieces():
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(search, "LONGEST_PIECE_S", 0.8)
        yield


@st.composite
def said(draw, most_frames=600):
    """Logits of sounds and pauses of any length."""
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    parts = []
    for is_pause in draw(st.lists(st.booleans(), max_size=12)):
        logits = rng.normal(size=(draw(st.integers(1, most_frames // 12)), 5))
        logits[:, 3] += 9 * is_pause
        parts.append(3 * logits)
    return np.concatenate([np.zeros((0, 5)), *parts]).astype(np.float32)


@settings(deadline=None, max_examples=200)
@given(st.data(), said(), st.booleans(), st.lists(st.floats(0, 1), max_size=4))
def test_words_do_not_depend_on_how_logits_come(readers, data, logits, by_beam, ends):
    duration_s = len(logits) * FRAME_S - data.draw(st.sampled_from([0.0, 0.005, 0.1]))
    reader = readers[by_beam]
    reading = reader.open(duration_s, Options())
    words = []
    for end in sorted(ends):
        words += chain.from_iterable(reading.read(logits[: int(end * len(logits))], False))
    words += chain.from_iterable(reading.read(logits))
    expected = list(chain.from_iterable(reader.read(logits, duration_s, Options())))
    # numpy may round a sum otherwise among fewer frames.
    assert words == [
        replace(word, confidence=pytest.approx(word.confidence, rel=1e-6)) for word in expected
    ]


@settings(deadline=None, max_examples=200)
@given(said(most_frames=6000), st.floats(0, 1), st.integers(0, 99))
def test_lone_sounds_of_the_beginning_stay_what_they_are(logits, part, seed):
    power = np.random.default_rng(seed).exponential(size=len(logits)).astype(np.float32) ** 2
    end = int(part * len(logits))
    settled = max(0, end - round(SETTLED_S / FRAME_S))
    beginning = without_weak_sounds(logits[:end], power[:end], VOCABULARY, FRAME_S)
    whole = without_weak_sounds(logits, power, VOCABULARY, FRAME_S)
    np.testing.assert_array_equal(beginning[:settled], whole[:settled])
