import numpy as np
import pytest
from tiny_bundle import TOKENS

from service.bundle import Vocabulary
from service.ctc import greedy_decode
from service.streaming.greedy_path import GreedyPath

VOCABULARY = Vocabulary(tokens=TOKENS, blank_id=0, word_delimiter="|")
FRAME_S = 0.02


def logits_of(labels):
    logits = np.full((len(labels), len(TOKENS)), -5, np.float32)
    logits[np.arange(len(labels)), [TOKENS.index(label) for label in labels]] = 5
    return logits


def labels(text):
    """One frame for each character; a dot is the blank."""
    return ["<pad>" if letter == "." else letter for letter in text]


@pytest.mark.parametrize(
    "text", ["..hh.ee.ll.l.oo..|.w.o.rr.ld", "ab" + 30 * "." + "cd", "|a|", "", "...", "a|" * 40]
)
@pytest.mark.parametrize("step", [1, 3, 100])
def test_it_says_what_greedy_decoding_of_the_whole_says(text, step):
    logits = logits_of(labels(text))
    path = GreedyPath(VOCABULARY, FRAME_S)
    for first in range(0, len(logits), step):
        path.add(logits[first : first + step])
    whole = greedy_decode(logits, VOCABULARY, frame_s=FRAME_S, duration_s=len(logits) * FRAME_S)
    assert [word.word for word in path.words] == [word.word for word in whole.words]
    assert [word.start_s for word in path.words] == [word.start_s for word in whole.words]
    assert all(0.9 < word.confidence <= 1 for word in path.words)


def test_all_but_the_last_word_is_stable():
    path = GreedyPath(VOCABULARY, FRAME_S)
    path.add(logits_of(labels("hey")))
    assert path.stable_chars == 0
    path.add(logits_of(labels("|")))
    assert path.stable_chars == len("hey")
    path.add(logits_of(labels("y")))
    assert path.stable_chars == len("hey ")
    path.add(logits_of(labels("." * 25)))
    assert path.stable_chars == len("hey y")


def test_frames_without_letters_count_behind_the_first_letter():
    path = GreedyPath(VOCABULARY, FRAME_S)
    path.add(logits_of(labels("....")))
    assert path.frames_without_letters == 0
    path.add(logits_of(labels("a...|.")))
    assert path.frames_without_letters == 5
