import math

import pytest

from service.ctc import Transcript, Word
from service.offers import Offer, Offers
from service.protocols.openai import Segment, Usage, answer, delta, done
from service.protocols.openai_form import Asked
from service.transcriber import Timing, Transcription

WORDS = (Word("good", 0.5, 0.9, 0.5), Word("day", 1.0, 1.25, 1.0))


def transcription(words=WORDS, language="en"):
    timing = Timing(0, 0, 0, 0, 0)
    return Transcription(Transcript.of(words), 2.1, language, "tiny", timing)


def asked(**fields):
    return Asked.of(fields, Offers(Offer("tiny", ("en",))))


@pytest.mark.parametrize(("duration_s", "seconds"), [(0.1, 1), (2.0, 2), (2.1, 3)])
def test_begun_seconds_count(duration_s, seconds):
    assert Usage.of(duration_s).seconds == seconds


def test_a_segment_is_as_sure_as_its_letters():
    segment = Segment.of(3, WORDS)
    assert (segment.id, segment.seek, segment.start, segment.end) == (3, 50, 0.5, 1.25)
    assert segment.avg_logprob == pytest.approx(4 / 7 * math.log(0.5), abs=1e-4)


def test_a_word_of_no_confidence_is_not_the_end_of_the_world():
    assert Segment.of(0, [Word("good", 0.5, 0.9, 0.0)]).avg_logprob < -20


def test_a_language_nobody_named_is_undetermined():
    body = answer(transcription(language=None), asked(response_format="verbose_json")).content
    assert '"language":"und"' in body


def test_nothing_said_has_no_segments():
    body = answer(transcription(words=()), asked(response_format="verbose_json")).content
    assert '"segments":[]' in body
    assert "words" not in body


def test_deltas_together_are_the_text():
    events = [delta(WORDS[:1], asked(), is_first=True), delta(WORDS[1:], asked(), is_first=False)]
    last = done(transcription(), asked())
    assert "".join(event.delta for event in events) == last.text == "good day"
    assert not any("words" in event.model_dump_json(exclude_none=True) for event in events)
    assert (last.duration, last.language, last.model) == (None, None, None)


def test_events_have_their_words_where_times_are_asked_for():
    wish = asked(**{"timestamp_granularities[]": "word"})
    (word,) = delta(WORDS[:1], wish, is_first=True).words
    assert (word.word, word.start, word.end, word.confidence) == ("good", 0.5, 0.9, 0.5)
    last = done(transcription(), wish)
    assert (last.duration, last.language, last.model) == (2.1, "en", "tiny")
