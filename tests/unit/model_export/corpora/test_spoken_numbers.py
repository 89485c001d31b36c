import re

from model_export.corpora.spoken_numbers import spoken_numbers

SENTENCES = list(spoken_numbers())


def test_they_are_the_same_every_time():
    assert list(spoken_numbers()) == SENTENCES
    assert list(spoken_numbers(seed=1)) != SENTENCES


def test_numbers_are_words():
    assert not [text for text in SENTENCES if not re.fullmatch(r"[A-Za-z' ]+", text)]
    assert not [text for text in SENTENCES if "  " in text]


def test_they_speak_of_what_people_count_and_date():
    spoken = set(SENTENCES)
    for words in ("half past three", "o'clock", "twenty first of march", "dollars and", " p m"):
        assert any(words in text.lower() for text in spoken), words
