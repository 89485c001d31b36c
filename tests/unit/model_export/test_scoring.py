import math

import numpy as np
import pytest

from model_export.scoring import (
    bootstrap_interval,
    character_errors,
    decode_labels,
    error_rates,
    word_errors,
)
from model_export.transcripts.normalisation import make_vocabulary

VOCABULARY = make_vocabulary(["ab"])  # 0 blank, 1 delimiter, 2 a, 3 b


def test_error_rates_by_hand() -> None:
    # 7 words: one substituted, one deleted, one inserted. 22 characters: 1 + 4 + 5 edits.
    references = ["the cat sat", "on a mat ok"]
    hypotheses = ["the bat sat", "on a mat ok then"]
    rates = error_rates(references, hypotheses)
    assert rates.wer_percent == pytest.approx(100 * 2 / 7)
    assert rates.cer_percent == pytest.approx(100 * (1 + 5) / 22)


def test_error_rates_may_pass_100_percent() -> None:
    assert error_rates(["a"], ["b c d"]).wer_percent == pytest.approx(300)


def test_an_empty_hypothesis_misses_everything() -> None:
    rates = error_rates(["a b"], [""])
    assert rates.wer_percent == rates.cer_percent == 100


def test_what_could_not_be_read_does_not_count() -> None:
    assert error_rates(["a b", ""], ["a c", "d"]).wer_percent == pytest.approx(50)
    assert math.isnan(error_rates([""], ["d"]).wer_percent)


@pytest.mark.parametrize(
    ("labels", "text"),
    [
        ([], ""),
        ([0, 0], ""),
        ([2, 2, 0, 3], "ab"),
        ([2, 0, 2], "aa"),
        ([1, 2, 1, 1, 0, 1, 3, 1], "a b"),
        ([1, 0, 1], ""),
    ],
)
def test_decode_labels(labels: list[int], text: str) -> None:
    assert decode_labels(np.array(labels, dtype=np.int64), VOCABULARY) == text


def test_the_interval_of_a_rate_is_that_of_its_utterances() -> None:
    errors, words = [0, 1, 2, 9], [10, 10, 20, 10]
    low, high = bootstrap_interval(errors, words)
    assert 0 < low < 100 * 12 / 50 < high < 90
    assert bootstrap_interval([2, 4], [10, 20]) == (20, 20)
    wider = bootstrap_interval(errors[1::2], words[1::2])
    assert wider == pytest.approx((10, 90))


def test_errors_of_one_utterance() -> None:
    assert word_errors("the cat sat", "a cat") == 2
    assert character_errors("the cat", "the bats") == 2
