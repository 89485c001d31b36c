import subprocess
import sys

import numpy as np
import pytest

from service.bundle import Vocabulary
from service.ctc import LONGEST_STRETCH, Transcript, greedy_decode

VOCABULARY = Vocabulary(tokens=("_", "|", "a", "b"), blank_id=0, word_delimiter="|")
FRAME_S = 0.02


def logits_of(labels, *, margin=50.0):
    """Logits whose best label in each frame is the given character's."""
    return np.eye(4, dtype=np.float32)[[VOCABULARY.tokens.index(one) for one in labels]] * margin


def decode(labels, *, margin=50.0, duration_s=None):
    logits = logits_of(labels, margin=margin)
    duration_s = len(labels) * FRAME_S if duration_s is None else duration_s
    return greedy_decode(logits, VOCABULARY, frame_s=FRAME_S, duration_s=duration_s)


@pytest.mark.parametrize(
    ("labels", "text"),
    [
        ("____", ""),
        ("||||", ""),
        ("aa", "a"),
        ("a_a", "aa"),
        ("aab_b", "abb"),
        ("a|b", "a b"),
        ("|a||_|b|", "a b"),
        ("a_|_b", "a b"),
    ],
)
def test_repeats_collapse_and_blanks_vanish(labels, text):
    assert decode(labels).text == text


@pytest.mark.parametrize(("frames", "text"), [(24, "ab"), (25, "a b"), (500, "a b")])
def test_no_word_has_a_long_pause(frames, text):
    transcript = decode("a" + "_" * frames + "b")
    assert transcript.text == text
    assert all(word.end_s - word.start_s < 0.6 for word in transcript.words)


def test_words_last_from_their_first_to_their_last_frame():
    words = decode("_aa_b_||b").words
    assert [word.word for word in words] == ["ab", "b"]
    times = [(word.start_s, word.end_s) for word in words]
    assert times == [pytest.approx((0.02, 0.10)), pytest.approx((0.16, 0.18))]


def test_the_last_word_ends_with_the_audio():
    (word,) = decode("__aa", duration_s=0.075).words
    assert (word.start_s, word.end_s) == pytest.approx((0.04, 0.075))


@pytest.mark.parametrize("duration_s", [0.06, 0.06 + 1e-12])
def test_frames_beyond_the_audio_say_nothing(duration_s):
    assert decode("a__b", duration_s=duration_s).text == "a"


def decode_posteriors(*frames):
    logits = np.log(np.array(frames, np.float32) + 1e-12)
    duration_s = len(frames) * FRAME_S
    return greedy_decode(logits, VOCABULARY, frame_s=FRAME_S, duration_s=duration_s).words


def test_confidence_is_the_geometric_mean_over_the_labels():
    (word,) = decode_posteriors([0.1, 0.1, 0.8, 0], [0.3, 0.1, 0.1, 0.5])
    assert word.word == "ab"
    assert word.confidence == pytest.approx((0.8 * 0.5) ** 0.5, rel=1e-5)


def test_all_ways_to_say_a_word_make_it_sure():
    (word,) = decode_posteriors([0, 0, 1, 0], [0.4, 0, 0.6, 0])
    assert word.word == "a"
    assert word.confidence == pytest.approx(1, rel=1e-5)


def test_a_letter_that_may_have_been_missed_makes_a_word_unsure():
    (word,) = decode_posteriors([0, 0, 1, 0], [0.6, 0, 0, 0.4], [1, 0, 0, 0])
    assert word.word == "a"
    assert word.confidence == pytest.approx(0.6, rel=1e-5)


def test_a_word_of_many_labels_has_the_mean_confidence_of_its_parts():
    sure, half = [0, 0, 0, 1], [0, 0, 0.5001, 0.4999]
    blank = [1, 0, 0, 0]
    words = decode_posteriors(*[sure, blank] * LONGEST_STRETCH, *[half, blank] * LONGEST_STRETCH)
    (word,) = words
    assert len(word.word) == 2 * LONGEST_STRETCH
    assert word.confidence == pytest.approx(0.5**0.5, rel=1e-3)


def test_huge_logits_do_not_overflow():
    (word,) = decode("a", margin=1e30).words
    assert word.confidence == 1.0


def test_no_frames_give_an_empty_transcript():
    empty = np.zeros((0, 4), np.float32)
    found = greedy_decode(empty, VOCABULARY, frame_s=FRAME_S, duration_s=0.01)
    assert found == Transcript("", ())


def test_importing_it_brings_no_framework():
    code = "import sys, service.ctc; print(*{'fastapi', 'torch', 'onnxruntime'} & set(sys.modules))"
    outcome = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert outcome.stdout.strip() == b""
