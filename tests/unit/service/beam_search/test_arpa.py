import gzip

import pytest
from language_models import write_arpa

from service.beam_search.arpa import read_unigrams
from service.errors import InvalidBundle


def test_words_come_with_their_probabilities_but_without_markers(tmp_path):
    path = write_arpa(tmp_path / "a.arpa", {"sea": -1.5, "été": -0.5}, {("sea", "été"): -0.1})
    assert read_unigrams(path) == {"sea": -1.5, "été": -0.5}


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "begin"),
        (b"hello\n", "begin"),
        (b"\\data\\\nngram 1=2\n", "1-grams"),
        (b"\\data\\\n\\1-grams:\nsea\n", "no unigram"),
        (b"\\data\\\n\\1-grams:\nlow\tsea\n", "could not convert"),
        (b"\\data\\\n\\1-grams:\n0.5\tsea\n", "probability of 'sea' is 0.5"),
        (b"\\data\\\n\\1-grams:\nnan\tsea\n", "probability of 'sea' is nan"),
        (b"\x00\xff\xfe", "codec"),
    ],
)
def test_what_is_no_arpa_text_is_an_invalid_bundle(tmp_path, content, why):
    (tmp_path / "a.arpa").write_bytes(content)
    with pytest.raises(InvalidBundle, match=why):
        read_unigrams(tmp_path / "a.arpa")


def test_a_model_may_be_compressed(tmp_path):
    text = write_arpa(tmp_path / "a.arpa", {"sea": -1.5}, {("<s>", "sea"): -0.1}).read_bytes()
    (tmp_path / "a.arpa.gz").write_bytes(gzip.compress(text))
    assert read_unigrams(tmp_path / "a.arpa.gz") == {"sea": -1.5}


@pytest.mark.parametrize("damage", [lambda whole: b"words", lambda whole: whole[:-20]])
def test_a_damaged_compressed_model_is_an_invalid_bundle(tmp_path, damage):
    (tmp_path / "a.arpa.gz").write_bytes(damage(gzip.compress(bytes(1000))))
    with pytest.raises(InvalidBundle, match="cannot be read"):
        read_unigrams(tmp_path / "a.arpa.gz")


def test_a_file_that_is_not_there_is_an_invalid_bundle(tmp_path):
    with pytest.raises(InvalidBundle, match="cannot be read"):
        read_unigrams(tmp_path / "none.arpa")
