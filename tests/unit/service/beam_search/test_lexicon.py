import pytest

from service.beam_search.lexicon import Entry, Lexicon, Speller
from service.bundle import Vocabulary

VOCABULARY = Vocabulary(tokens=("_", "|", "a", "b", "é", "cd"), blank_id=0, word_delimiter="|")
SPELLER = Speller(VOCABULARY)


@pytest.mark.parametrize(
    ("phrase", "spelling"),
    [
        ("ab", (2, 3, 1)),
        ("aé b", (2, 4, 1, 3, 1)),
        ("acd", (2, 5, 1)),
        ("ac", None),
        ("a_b", None),
        ("a|b", None),
        ("a  b", None),
        ("", None),
    ],
)
def test_words_are_spelled_by_their_tokens_and_end_with_the_delimiter(phrase, spelling):
    assert SPELLER.spell(phrase) == spelling


def test_characters_without_a_token_are_named_once():
    assert SPELLER.unknown_characters("a x_yx b") == ["x", "_", "y"]


def test_only_words_that_can_be_spelled_are_in_the_lexicon():
    lexicon = Lexicon({"ab": -1.0, "ax": -5.0, "b": -2.0}, SPELLER)
    assert lexicon.labels == {"ab": 0, "b": 1}
    assert (lexicon.scores, lexicon.rarest) == ([-1.0, -2.0], -2.0)
    assert lexicon.trie.search([2, 3, 1]).labels == [0]
    assert lexicon.trie.search([2]).max_score == -1.0


def test_branches_do_not_change_the_trie_they_grow_on():
    lexicon = Lexicon({"ab": -3.0, "aa": -4.0}, SPELLER)
    trie = lexicon.trie
    entries = [Entry((2, 4, 1), 7, -1.0), Entry((2, 3, 1), 0, -2.0)]
    grown = lexicon.trie_with(entries)
    assert grown.search([2, 4, 1]).labels == [7]
    assert trie.search([2, 4, 1]) is None
    assert [grown.search(ids).max_score for ids in ([2], [2, 4], [2, 3])] == [-1.0, -1.0, -2.0]
    assert [trie.search(ids).max_score for ids in ([2], [2, 3])] == [-3.0, -3.0]
    assert grown.search([2, 2, 1]).labels == [1]
    assert grown.search([2, 3, 1]).labels == [0]


def test_a_new_branch_looks_forward_to_no_more_than_it_holds():
    grown = Lexicon({"ab": -3.0}, SPELLER).trie_with([Entry((4, 2, 1), 1, -5.0)])
    assert [grown.search(ids).max_score for ids in ([4], [4, 2], [4, 2, 1])] == [-5.0] * 3
