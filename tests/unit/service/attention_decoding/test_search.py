import numpy as np
import pytest
from dictated import dictated_writer, holding
from said_frames import VOCABULARY, frames

from service.attention_decoding import AttentionSearch
from service.ctc import Part

LEAST = -2.0
FRAME_S = 0.02


def search(beam_search=None, least_agreement=LEAST):
    return AttentionSearch(VOCABULARY, dictated_writer(), least_agreement, beam_search)


def words(said, held, *, attention=None, hot_words=()):
    logits = frames(said)
    passages = (attention or search()).passages(
        logits,
        held,
        frame_s=FRAME_S,
        duration_s=len(logits) * FRAME_S,
        hot_words=hot_words,
    )
    return [word for passage in passages for word in passage.words]


def texts(said, held, **options):
    return [word.word for word in words(said, held, **options)]


class Heard:
    """A beam search that finds fixed labels."""

    def __init__(self, said):
        self._labels = frames(said).argmax(axis=1)

    def labels(self, log_posteriors, hot_words=()):
        return self._labels[: len(log_posteriors)]


def test_the_decoders_text_goes_before_the_likeliest_letters():
    said = "t[ea]_st"
    assert texts(said, holding("test", 5)) == ["test"]
    assert texts(said, holding("tast", 5)) == ["tast"]


def test_words_lie_where_their_letters_are():
    found = words("__tt|_eést__", holding("t eést", 12))
    assert [(one.word, one.start_s, one.end_s) for one in found] == [
        ("t", pytest.approx(0.04), pytest.approx(0.08)),
        ("eést", pytest.approx(0.12), pytest.approx(0.20)),
    ]


@pytest.mark.parametrize("held", ["bad bad", "testtest", "", "tabs"])
def test_a_text_that_is_not_in_the_sound_is_not_believed(held):
    assert texts("t_es_t", holding(held, 6) if held else np.full((6, 1), 10.0)) == ["test"]


def test_what_is_not_believed_is_read_by_beam_search_if_there_is_one():
    attention = search(Heard("b_ad_s"))
    assert texts("t_es_t", holding("bad bad", 6), attention=attention) == ["bads"]


def test_without_frames_it_is_read_by_ctc():
    assert texts("t_es_t", np.empty((6, 0), np.float32)) == ["test"]


def test_where_no_letter_is_heard_nothing_is_written():
    assert texts("__|__", holding("test", 5)) == []


def test_each_piece_has_its_own_text(monkeypatch):
    monkeypatch.setattr("service.attention_decoding.search.LONGEST_PIECE_S", 0.2)
    said = "te_st_||_bad__"
    held = np.concatenate([holding("test", 7), holding("bad", 7)])
    assert texts(said, held) == ["test", "bad"]


def test_a_part_is_read_from_where_the_last_one_ended():
    logits, held = frames("test_" + "_" * 30 + "bad"), holding("test", 38)
    held[20:] = holding("bad", 18)
    reading = search(least_agreement=-1e9)
    first = list(
        reading.passages(logits, held, frame_s=FRAME_S, duration_s=0.76, part=Part(0, is_last=True))
    )
    assert [word.word for passage in first for word in passage.words]
    assert first[-1].end == len(logits)


def test_a_hot_word_that_beam_search_hears_stands_in_the_text():
    attention = search(Heard("thebad"), least_agreement=-1e9)
    said, held = "thebed", holding("thebed", 6)
    assert texts(said, held, attention=attention) == ["thebed"]
    assert texts(said, held, attention=attention, hot_words=["thebad"]) == ["thebad"]
