import pytest

from service.ctc import Word
from service.subtitles import Cue, cues, phrases, srt, text_of, vtt


def said(text, start_s=0.0, word_s=0.3, gap_s=0.1):
    """Words one after the other; a slash is a pause of a second."""
    words = []
    for word in text.split():
        if word == "/":
            start_s += 1.0
            continue
        words.append(Word(word, start_s, start_s + word_s, 0.9))
        start_s += word_s + gap_s
    return words


def cut(text, **how):
    return [text_of(phrase) for phrase in phrases(said(text, **how))]


def test_a_long_pause_ends_a_phrase():
    assert cut("good morning / here we are") == ["good morning", "here we are"]


def test_the_end_of_a_sentence_is_the_best_place_to_cut():
    text = "one two three four five six seven eight. Nine ten eleven twelve thirteen fourteen yes"
    assert cut(text, word_s=0.2) == [text[:40], text[41:]]


def test_else_the_longest_pause_of_the_second_half_is():
    words = said("aaaa bbbb cccc dddd eeee ffff gggg hhhh iiii jjjj kkkk llll", gap_s=0.1)
    later = [Word(one.word, one.start_s + 0.4, one.end_s + 0.4, 0.9) for one in words[10:]]
    words = [*words[:10], *later, *said("mmmm nnnn oooo pppp qqqq rrrr ssss", start_s=5.4)]
    assert text_of(next(iter(phrases(words)))).endswith("jjjj")


def test_a_last_word_is_not_left_alone():
    parts = cut("aaaaaaaaa " * 9, word_s=0.2)
    assert [len(part.split()) for part in parts] == [7, 2]


def test_a_cue_stays_into_the_pause_behind_it():
    words = [*said("yes"), *said("no", start_s=3.0)]
    assert cues(words, 10.0) == [Cue(0, 1000, ("yes",)), Cue(3000, 4000, ("no",))]


def test_a_cue_does_not_outlast_the_audio():
    assert cues(said("yes"), 0.6) == [Cue(0, 600, ("yes",))]


def test_two_lines_are_about_equally_long():
    (cue,) = cues(said("the quick brown fox jumps over the lazy dog today", word_s=0.2), 9.0)
    assert cue.lines == ("the quick brown fox jumps", "over the lazy dog today")


def test_a_word_longer_than_a_line_is_kept_whole():
    long = "x" * 100
    assert [cue.lines for cue in cues(said(f"a {long} b"), 9.0)] == [("a",), (long, "b")]


def test_the_formats():
    words = [*said("rock & roll"), *said("<b>", start_s=3661.5)]
    assert srt(words, 4000) == (
        "1\n00:00:00,000 --> 00:00:01,100\nrock & roll\n\n2\n01:01:01,500 --> 01:01:02,500\n<b>\n\n"
    )
    assert vtt(words, 4000) == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:01.100\nrock &amp; roll\n\n"
        "01:01:01.500 --> 01:01:02.500\n&lt;b&gt;\n\n"
    )


@pytest.mark.parametrize(("write", "empty"), [(srt, ""), (vtt, "WEBVTT\n\n")])
def test_nothing_said_is_no_cue(write, empty):
    assert write([], 5.0) == empty
