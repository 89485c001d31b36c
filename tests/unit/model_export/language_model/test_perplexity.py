import gzip

import numpy as np
import pytest

from model_export.errors import LanguageModelRefused
from model_export.language_model.arpa import read_words
from model_export.language_model.build import Limits, build
from model_export.language_model.perplexity import measure

ARPA = """
\\data\\
ngram 1=4
ngram 2=2

\\1-grams:
-1.0\t<unk>
-99\t<s>\t-0.25
-0.5\t</s>
-0.75\ta\t-0.5

\\2-grams:
-0.125\t<s> a
-0.25\ta </s>

\\end\\
"""


@pytest.fixture
def arpa(tmp_path):
    path = tmp_path / "lm.arpa"
    path.write_text(ARPA)
    return path


def test_perplexity_is_of_known_words_and_sentence_ends(arpa):
    assert read_words(arpa) == ["a"]
    assert measure(arpa, ["a"]).perplexity == pytest.approx(10 ** ((0.125 + 0.25) / 2))
    measured = measure(arpa, ["a a", "a b"])
    # <s> a, a backed off to a, a </s>; <s> a, (b), then </s> after an unknown word.
    logs = [0.125, 0.5 + 0.75, 0.25, 0.125, 0.5]
    assert measured.perplexity == pytest.approx(10 ** np.mean(logs))
    assert measured.unknown_percent == 25


def test_the_decoder_reads_what_is_built(tmp_path):
    sentences = ["turn the light on", "turn it off", "turn the radio off", "it is on"] * 5
    counts = build(sentences, Limits(order=4), tmp_path / "lm.arpa")
    assert len(counts) == 4
    assert sorted(read_words(tmp_path / "lm.arpa")) == sorted({*" ".join(sentences).split()})
    trained = measure(tmp_path / "lm.arpa", sentences[:4]).perplexity
    assert trained < 2.5 < measure(tmp_path / "lm.arpa", ["off light the turn"]).perplexity


def test_a_compressed_file_is_the_same_model(tmp_path):
    for name in ("lm.arpa", "lm.arpa.gz"):
        build(["turn it on", "turn it off"], Limits(min_count=1), tmp_path / name)
    plain, compressed = (tmp_path / name for name in ("lm.arpa", "lm.arpa.gz"))
    assert gzip.decompress(compressed.read_bytes()) == plain.read_bytes()
    assert read_words(compressed) == read_words(plain)
    assert measure(compressed, ["turn it up"]) == measure(plain, ["turn it up"])


def test_a_torn_file_is_refused(tmp_path):
    build(["turn it on"], Limits(min_count=1), tmp_path / "lm.arpa.gz")
    (tmp_path / "torn.gz").write_bytes((tmp_path / "lm.arpa.gz").read_bytes()[:40])
    with pytest.raises(LanguageModelRefused, match=r"torn\.gz cannot be read"):
        read_words(tmp_path / "torn.gz")


@pytest.mark.parametrize("text", ["", "\\data\\\nngram 1=1\n\n\\1-grams:\n\n", "\\1-grams:\n-1\n"])
def test_what_is_no_model_is_refused(tmp_path, text):
    (tmp_path / "lm.arpa").write_text(text)
    with pytest.raises(LanguageModelRefused):
        read_words(tmp_path / "lm.arpa")
