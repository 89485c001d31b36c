import itertools

import numpy as np
import pytest

from service.attention_decoding.alignment import align
from service.bundle import Vocabulary
from service.ctc import TokenPath, log_softmax, read_path

VOCABULARY = Vocabulary(tokens=("_", "|", "a", "b"), blank_id=0, word_delimiter="|")


def said(frames, sureness=6.0):
    logits = np.eye(4)[["_|ab".index(label) for label in frames]] * sureness
    return log_softmax(logits.astype(np.float32))


def shown(labels):
    return "".join("_|ab"[label] for label in labels)


def test_a_text_is_found_where_it_is_said():
    alignment = align(said("__aa_b||ab__"), "ab ab", VOCABULARY)
    assert shown(alignment.labels) == "__aa_b||ab__"
    assert alignment.agreement == pytest.approx(0, abs=1e-6)


def test_words_of_the_path_are_those_of_the_text():
    log_posteriors = said("_ab_ab_|ba")
    labels = align(log_posteriors, "abb a ba", VOCABULARY).labels
    words = read_path(TokenPath(labels, log_posteriors), VOCABULARY, frame_s=1.0, duration_s=10.0)
    assert [word.word for word in words] == ["abb", "a", "ba"]


def test_a_text_that_is_not_said_agrees_less():
    log_posteriors = said("aaa|bbb|aaa")
    agreements = [align(log_posteriors, text, VOCABULARY).agreement for text in ("a b a", "b a b")]
    assert agreements[0] == pytest.approx(0, abs=1e-6)
    assert agreements[1] < -5


def test_equal_letters_have_a_blank_between_them():
    labels = align(said("aaaa"), "aa", VOCABULARY).labels
    assert "_" in shown(labels).strip("_")


def test_a_gap_between_words_says_the_delimiter():
    labels = align(said("aa__bb"), "a b", VOCABULARY).labels
    assert shown(labels).count("|") == 1


@pytest.mark.parametrize("text", ["ac", "a c"])
def test_what_the_vocabulary_cannot_spell_is_nowhere(text):
    assert align(said("aaaa"), text, VOCABULARY) is None


@pytest.mark.parametrize(("frames", "text"), [("", "a"), ("a", "ab"), ("ab", "a b"), ("aa", "aa")])
def test_too_few_frames_hold_no_text(frames, text):
    assert align(said(frames) if frames else np.zeros((0, 4), np.float32), text, VOCABULARY) is None


def test_it_is_the_best_of_all_paths():
    generator = np.random.default_rng(0)
    for _ in range(20):
        log_posteriors = log_softmax(generator.standard_normal((6, 4)).astype(np.float32) * 2)
        found = align(log_posteriors, "ab a", VOCABULARY)
        best = max(
            sum(log_posteriors[frame, label] for frame, label in enumerate(path))
            for path in itertools.product(range(4), repeat=6)
            if words_of(path) == ["ab", "a"]
        )
        score = found.agreement * 4 + log_posteriors.max(axis=1).sum()
        assert words_of(found.labels) == ["ab", "a"]
        assert score >= best - 1e-4


def words_of(path):
    collapsed = "".join("_|ab"[label] for label, _ in itertools.groupby(path)).replace("_", "")
    return [word for word in collapsed.split("|") if word]


def test_a_long_text_has_more_states_than_a_byte_counts():
    said_so = "|".join(["ab"] * 60)
    assert shown(align(said(said_so), said_so.replace("|", " "), VOCABULARY).labels) == said_so
