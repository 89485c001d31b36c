import html
from itertools import chain, pairwise

import pytest
import srt as srt_parser
import webvtt
from hypothesis import example, given, settings
from hypothesis import strategies as st

from service.ctc import Word
from service.subtitles import (
    MAX_CUE_S,
    MAX_LINE_CHARACTERS,
    MAX_LINES,
    MIN_CUE_S,
    PAUSE_S,
    READ_CHARACTERS_PER_S,
    cues,
    phrases,
    srt,
    vtt,
)

letters = st.text("abcdefghijäßжक'.,?!&<>-", min_size=1, max_size=12)
long_words = st.text("ab", min_size=1, max_size=100)
gaps_s = st.sampled_from([0.0, 0.02, 0.1, 0.3, 0.79, 0.8, 1.5, 9.0])
lengths_s = st.sampled_from([0.02, 0.1, 0.3, 0.6, 2.0, 12.0])


@st.composite
def spoken(draw, texts=letters, lengths=lengths_s):
    """Words one after the other, as a decoder gives them, and the audio's length."""
    words, now_s = [], draw(gaps_s)
    for text in draw(st.lists(texts, max_size=60)):
        end_s = now_s + draw(lengths)
        words.append(Word(text, now_s, end_s, 0.9))
        now_s = end_s + draw(gaps_s)
    return words, now_s


@st.composite
def careless(draw):
    """Words in the order of their starts, which may overlap."""
    starts_s = sorted(draw(st.lists(st.floats(0, 100), max_size=30)))
    words = [Word("ab", start, start + draw(st.floats(0.001, 20)), 0.9) for start in starts_s]
    return words, draw(st.floats(0, 150))


@settings(deadline=None)
@given(st.one_of(spoken(), spoken(long_words), careless()))
def test_every_word_is_there_once_and_in_order(case):
    words, duration_s = case
    assert list(chain.from_iterable(phrases(words))) == words
    shown = [word for cue in cues(words, duration_s) for line in cue.lines for word in line.split()]
    assert shown == [word.word for word in words]


@settings(deadline=None)
@given(st.one_of(spoken(), spoken(long_words), careless()))
def test_times_go_on_and_never_overlap(case):
    made = cues(*case)
    assert all(0 <= cue.start_ms < cue.end_ms for cue in made)
    assert all(cue.end_ms - cue.start_ms <= MAX_CUE_S * 1000 for cue in made)
    assert all(left.end_ms <= right.start_ms for left, right in pairwise(made))


@settings(deadline=None)
@given(spoken())
def test_lines_fit_the_screen(case):
    for cue in cues(*case):
        assert 1 <= len(cue.lines) <= MAX_LINES
        assert all(len(line) <= MAX_LINE_CHARACTERS for line in cue.lines)


@settings(deadline=None)
@given(spoken(lengths=st.sampled_from([0.02, 0.1, 0.3, 0.6])))
def test_a_cue_stays_as_long_as_reading_takes_where_there_is_room(case):
    words, duration_s = case
    made, spoken_phrases = cues(words, duration_s), list(phrases(words))
    starts_ms = [*(cue.start_ms for cue in made[1:]), round(duration_s * 1000)]
    for cue, phrase, next_ms in zip(made, spoken_phrases, starts_ms, strict=False):
        assert cue.end_ms >= min(round(phrase[-1].end_s * 1000), next_ms)
        characters = sum(map(len, cue.lines)) + len(cue.lines) - 1
        wanted_ms = max(MIN_CUE_S, characters / READ_CHARACTERS_PER_S) * 1000
        assert cue.end_ms - cue.start_ms >= min(wanted_ms - 1, next_ms - cue.start_ms)


@settings(deadline=None)
@given(spoken())
def test_no_phrase_goes_over_a_long_pause(case):
    for phrase in phrases(case[0]):
        assert all(right.start_s - left.end_s < PAUSE_S for left, right in pairwise(phrase))


@settings(deadline=None)
@given(spoken())
@example(([], 1.0))
def test_a_parser_reads_back_what_was_written_as_srt(case):
    read = list(srt_parser.parse(srt(*case)))
    made = cues(*case)
    assert [one.index for one in read] == list(range(1, len(made) + 1))
    for one, cue in zip(read, made, strict=True):
        assert one.content == "\n".join(cue.lines)
        assert round(one.start.total_seconds() * 1000) == cue.start_ms
        assert round(one.end.total_seconds() * 1000) == cue.end_ms


@settings(deadline=None)
@given(spoken())
@example(([], 1.0))
def test_a_parser_reads_back_what_was_written_as_vtt(case):
    read = list(webvtt.from_string(vtt(*case)))
    made = cues(*case)
    for one, cue in zip(read, made, strict=True):
        assert one.start_in_seconds * 1000 == pytest.approx(cue.start_ms, abs=1000)
        assert _ms(one.start) == cue.start_ms
        assert _ms(one.end) == cue.end_ms
        assert html.unescape(one.text) == "\n".join(cue.lines)


def _ms(time):
    hours, minutes, seconds = time.split(":")
    return round((int(hours) * 3600 + int(minutes) * 60 + float(seconds)) * 1000)
