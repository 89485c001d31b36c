import numpy as np
import pytest

from model_export.language_model.arpa import most_bytes, write_arpa
from model_export.language_model.counts import SPECIAL_WORDS, count_ngrams
from model_export.language_model.kneser_ney import estimate
from model_export.language_model.pruning import with_backoffs

WORDS = ["a", "b", "naïve"]


@pytest.fixture
def model():
    return estimate((*SPECIAL_WORDS, *WORDS), count_ngrams(["a b", "a naïve b", "a"], WORDS, 3))


def test_the_file_has_each_n_gram_with_its_logarithms(model, tmp_path):
    everything = [np.ones(len(table.word), dtype=bool) for table in model.tables]
    path = tmp_path / "lm.arpa"
    write_arpa(path, with_backoffs(model, everything))
    header, unigrams, bigrams, trigrams, end = path.read_text(encoding="utf-8").split("\n\n")
    assert header == "\\data\\\nngram 1=6\nngram 2=6\nngram 3=6"
    assert end == "\\end\\\n"
    assert unigrams.splitlines()[2].startswith("-99.00\t<s>\t-")
    assert unigrams.splitlines()[6].split("\t")[1] == "naïve"
    assert bigrams.startswith("\\2-grams:")
    assert "\t<s> a\t" in bigrams
    assert trigrams.splitlines()[1].count("\t") == 1


def test_the_size_is_never_more_than_foretold(model, tmp_path):
    for listed in ([True, True, True], [True, True, False], [True, False, False]):
        flags = [np.full(len(t.word), kept) for t, kept in zip(model.tables, listed, strict=True)]
        write_arpa(tmp_path / "lm.arpa", with_backoffs(model, flags))
        size = (tmp_path / "lm.arpa").stat().st_size
        assert size <= most_bytes(model, flags) <= size + 200
