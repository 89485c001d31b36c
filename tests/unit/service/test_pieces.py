import numpy as np

from service.bundle import Vocabulary
from service.pieces import Piece, cut_at_pauses

VOCABULARY = Vocabulary(tokens=("_", "|", "a"), blank_id=0, word_delimiter="|")


def cut(said, longest, sureness=9.0):
    logits = np.eye(3)[[VOCABULARY.tokens.index(one) for one in said]] * sureness
    log_posteriors = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    pieces = cut_at_pauses(log_posteriors, VOCABULARY, longest)
    return [said[start:end] for start, end in pieces]


def test_what_fits_is_one_piece():
    assert cut("aa_|", 4) == ["aa_|"]
    assert cut_at_pauses(np.zeros((0, 3)), VOCABULARY, 4) == []


def test_a_cut_lies_in_the_middle_of_the_longest_pause_of_its_range():
    assert cut("aaaaaa|a_||_aaaa", 12) == ["aaaaaa|a_|", "|_aaaa"]


def test_blanks_inside_a_word_are_no_pause_where_there_is_a_delimiter():
    assert cut("aaaaa____a||aa", 12) == ["aaaaa____a|", "|aa"]


def test_without_a_delimiter_the_longest_blank_is_cut():
    assert cut("aaaaa_a____aaa", 12) == ["aaaaa_a__", "__aaa"]


def test_without_a_pause_the_likeliest_delimiter_is_cut():
    log_posteriors = np.log(np.full((12, 3), [0.2, 0.1, 0.7]))
    log_posteriors[7] = np.log([0.1, 0.3, 0.6])
    assert cut_at_pauses(log_posteriors, VOCABULARY, 10) == [Piece(0, 7), Piece(7, 12)]
