import math
import re

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from service.bundle import Vocabulary
from service.ctc import greedy_decode

TOKENS = ("|", "a", "b", "_", "cd")
VOCABULARY = Vocabulary(tokens=TOKENS, blank_id=3, word_delimiter="|")
FRAME_S = 0.02

label_lists = st.lists(st.integers(0, len(TOKENS) - 1), max_size=40)


def slow_text(labels):
    """CTC's definition, word for word: merge repeats, then remove blanks."""
    merged = [one for place, one in enumerate(labels) if place == 0 or one != labels[place - 1]]
    text = "".join(TOKENS[one] for one in merged if one != VOCABULARY.blank_id)
    return " ".join(text.replace("|", " ").split())


def logits_of(labels, seed):
    noise = np.random.default_rng(seed).uniform(0, 1, (len(labels), len(TOKENS)))
    noise[np.arange(len(labels)), labels] += 1.5
    return noise.astype(np.float32)


def decode(labels, seed=0, duration_s=None):
    duration_s = len(labels) * FRAME_S if duration_s is None else duration_s
    logits = logits_of(labels, seed)
    return greedy_decode(logits, VOCABULARY, frame_s=FRAME_S, duration_s=duration_s)


@given(label_lists, st.integers(0, 99))
def test_text_is_that_of_the_definition(labels, seed):
    transcript = decode(labels, seed)
    assert transcript.text == slow_text(labels)
    assert transcript.text.split() == [word.word for word in transcript.words]


@given(label_lists, st.integers(0, 99), st.floats(0.001, 1.0))
def test_words_are_in_order_within_the_audio_and_take_time(labels, seed, duration_s):
    words = decode(labels, seed, duration_s).words
    edges = [edge for word in words for edge in (word.start_s, word.end_s)]
    assert edges == sorted(edges)
    assert all(0 <= edge <= duration_s for edge in edges)
    assert all(word.start_s < word.end_s for word in words)


@given(label_lists, st.integers(0, 99))
def test_confidence_is_a_probability_above_that_of_the_path(labels, seed):
    logits = logits_of(labels, seed).astype(float)
    sure = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True)) if labels else logits
    best = np.exp(sure.max(axis=1).sum()) if labels else 1.0
    words = decode(labels, seed).words
    assert all(0 < word.confidence <= 1 for word in words)
    spelled = [[TOKENS.index(one) for one in re.findall("cd|a|b", word.word)] for word in words]
    product = math.prod(w.confidence ** len(s) for w, s in zip(words, spelled, strict=True))
    assert product >= best * (1 - 1e-4)


@given(label_lists, st.integers(1, 4))
def test_saying_every_label_longer_changes_no_word(labels, times):
    longer = [one for one in labels for _ in range(times)]
    assert decode(longer).text == decode(labels).text
