import pytest

from model_export.errors import LanguageModelRefused
from model_export.language_model.arpa import read_words
from model_export.language_model.build import Limits, build
from model_export.language_model.perplexity import measure

SENTENCES = [f"{name} has {count} cats" for name in "abcdefgh" for count in ("no", "two", "many")]


def test_the_file_takes_no_more_bytes_than_it_may(tmp_path):
    sizes, perplexities = [], []
    for max_bytes in (400, 800, 1600, 9999):
        path = tmp_path / f"{max_bytes}.arpa"
        build(SENTENCES, Limits(max_bytes=max_bytes), path)
        sizes.append(path.stat().st_size)
        assert sizes[-1] <= max_bytes
        perplexities.append(measure(path, SENTENCES).perplexity)
    assert sizes == sorted(sizes)
    assert sizes[-1] < 9999
    assert perplexities == sorted(perplexities, reverse=True)


def test_the_vocabulary_is_the_most_frequent_words(tmp_path):
    build(SENTENCES, Limits(max_words=3), tmp_path / "lm.arpa")
    assert read_words(tmp_path / "lm.arpa") == ["cats", "has", "many"]
    build(SENTENCES, Limits(min_count=4), tmp_path / "lm.arpa")
    assert read_words(tmp_path / "lm.arpa") == ["cats", "has", "many", "no", "two"]


def test_words_that_do_not_fit_alone_are_refused(tmp_path):
    with pytest.raises(LanguageModelRefused, match=r"13 words alone take .* the limit is 200"):
        build(SENTENCES, Limits(max_bytes=200), tmp_path / "lm.arpa")
    assert not (tmp_path / "lm.arpa").exists()


def test_texts_without_a_frequent_word_are_refused(tmp_path):
    with pytest.raises(LanguageModelRefused, match="no word occurs 99 times"):
        build(SENTENCES, Limits(min_count=99), tmp_path / "lm.arpa")
