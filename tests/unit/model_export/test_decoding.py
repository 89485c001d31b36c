from pathlib import Path

import pytest
from language_models import add_language_model, even_arpa
from tiny_bundle import make_bundle

from model_export.decoding import DecodingChoice, open_search
from service.bundle import Bundle, load_bundle
from service.errors import InvalidBundle


@pytest.fixture
def bare(tmp_path: Path) -> Bundle:
    return load_bundle(make_bundle(tmp_path / "bare"))


@pytest.fixture
def rich(bare: Bundle, tmp_path: Path) -> Bundle:
    return load_bundle(add_language_model(bare.folder, tmp_path / "rich", ["a", "cab"]))


def test_a_bundle_is_read_as_it_says(bare: Bundle, rich: Bundle) -> None:
    found = open_search(DecodingChoice(), bare.manifest.vocabulary, bare)
    assert (found.decoding, found.beam_search, found.record) == ("greedy", None, "greedy")
    found = open_search(DecodingChoice(), rich.manifest.vocabulary, rich)
    assert (found.decoding, found.beam_search is None) == ("beam", False)
    assert found.record == "beam 50, words.arpa, weight 2, word score 0"
    greedy = DecodingChoice(decoding="greedy")
    assert open_search(greedy, rich.manifest.vocabulary, rich).record == "greedy"


def test_weights_and_model_can_be_others(bare: Bundle, rich: Bundle, tmp_path: Path) -> None:
    choice = DecodingChoice(weight=0.5, beam=7)
    found = open_search(choice, rich.manifest.vocabulary, rich)
    assert found.record == "beam 7, words.arpa, weight 0.5, word score 0"
    other = DecodingChoice(
        language_model=even_arpa(tmp_path / "other.arpa", ["b"]), word_score=-1.5
    )
    for bundle in (bare, rich, None):
        record = open_search(other, bare.manifest.vocabulary, bundle).record
        assert record == "beam 50, other.arpa, weight 2, word score -1.5"


def test_beam_search_without_a_model_is_refused(bare: Bundle) -> None:
    with pytest.raises(InvalidBundle, match="name --language-model"):
        open_search(DecodingChoice(decoding="beam"), bare.manifest.vocabulary, bare)
