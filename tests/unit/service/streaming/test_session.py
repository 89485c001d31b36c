import numpy as np
import pytest
from sessions import Sessions, events_of, finals, partials, silence, texts
from tiny_bundle import make_streaming_bundle, speak, speak_to_graph

from service.errors import InvalidRequest
from service.streaming.endpointing import Endpointing
from service.streaming.events import FinalReason, SpeechStarted, UtteranceEnd
from service.streaming.session import Phase

FINALIZE, LONGEST = FinalReason.FINALIZE, FinalReason.LONGEST
SILENCE, STOP = FinalReason.SILENCE, FinalReason.STOP


@pytest.fixture(scope="module")
def sessions(tmp_path_factory):
    return Sessions(make_streaming_bundle(tmp_path_factory.mktemp("bundles") / "streaming"))


@pytest.fixture(params=["incremental", "windowed"])
def kind(request):
    return request.param


@pytest.fixture
def session(sessions, kind):
    return getattr(sessions, kind)()


@pytest.fixture
def say(kind):
    return speak if kind == "windowed" else speak_to_graph


async def test_what_is_said_between_pauses_is_one_final_each(session, say):
    audio = [silence(1), say("good morning"), silence(2), say("how are you"), silence(0.1)]
    events = await events_of(session, audio)
    assert texts(events) == [("good morning", SILENCE), ("how are you", STOP)]
    first, second = finals(events)
    assert 0.6 < first.start_s < first.words[0].start_s < first.words[-1].end_s < first.end_s
    morning_s = 1 + say("good morning").size / 16_000
    assert first.words[-1].end_s == pytest.approx(morning_s, abs=0.1)
    assert first.end_s == pytest.approx(morning_s + 0.5, abs=0.2)
    assert second.words[0].start_s == pytest.approx(morning_s + 2, abs=0.1)
    assert second.start_s >= first.end_s
    assert all(0.3 < word.confidence <= 1 for word in first.words)
    assert session.phase is Phase.CLOSED


async def test_partials_grow_and_their_stable_part_never_changes(session, say):
    pieces = np.array_split(say("good morning dear listeners"), 20)
    events = await events_of(session, [*pieces, silence(1)])
    shown = [(event.text, event.stable_chars) for event in partials(events)]
    assert len(shown) > 2
    whole = finals(events)[0].text
    assert whole == "good morning dear listeners"
    for text, stable_chars in shown:
        assert whole.startswith(text[:stable_chars])
    assert {event.start_s for event in partials(events)} == {0.0}
    assert isinstance(events[0], SpeechStarted)


async def test_without_interim_there_are_only_finals(sessions, kind, say):
    events = await events_of(
        getattr(sessions, kind)(interim=False), [say("good morning"), silence(1)]
    )
    assert not partials(events)
    assert texts(events) == [("good morning", SILENCE)]


async def test_finalize_ends_the_utterance_at_once_and_starts_another(session, say):
    events = await events_of(session, [say("good")], stop=False)
    events += [event async for event in session.finalize()]
    assert texts(events) == [("good", FINALIZE)]
    assert session.phase is Phase.QUIET
    assert texts(await events_of(session, [say("morning")])) == [("morning", STOP)]


async def test_finalize_in_silence_gives_an_empty_final_and_stop_gives_none(session):
    events = await events_of(session, [silence(1)], stop=False)
    assert not events
    (final,) = [event async for event in session.finalize()]
    assert (final.text, final.words, final.start_s, final.end_s) == ("", (), 1.0, 1.0)
    assert not [event async for event in session.stop()]


async def test_nothing_is_taken_after_stop(session):
    await events_of(session, [])
    with pytest.raises(InvalidRequest, match="was stopped"):
        await events_of(session, [silence(1)])
    with pytest.raises(InvalidRequest, match="was stopped"):
        [event async for event in session.finalize()]


async def test_minutes_of_silence_cost_nothing_and_say_nothing(sessions, session, say):
    await events_of(session, [say("good"), silence(1)], stop=False)
    sessions.heard.clear()
    generator = np.random.default_rng(0)
    hiss = (0.0005 * generator.standard_normal(16_000 * 300)).astype(np.float32)
    assert not await events_of(session, np.array_split(hiss, 300), stop=False)
    assert session.phase is Phase.QUIET
    assert not sessions.heard
    assert texts(await events_of(session, [say("morning")])) == [("morning", STOP)]


async def test_who_speaks_on_is_cut_at_a_short_pause_and_loses_nothing(sessions, kind, say):
    endpointing = Endpointing(silence_s=0.7, longest_s=5)
    words = [say("lorem "), silence(0.3)] * 20
    events = await events_of(getattr(sessions, kind)(endpointing), words)
    assert {reason for _, reason in texts(events)[:-1]} == {LONGEST}
    assert " ".join(text for text, _ in texts(events)) == " ".join(["lorem"] * 20)
    assert all(final.end_s - final.start_s <= 5.1 for final in finals(events))


async def test_without_endpoints_only_the_client_ends_an_utterance(sessions, kind, say):
    endpointing = Endpointing(silence_s=None, longest_s=20)
    audio = [say("good"), silence(3), say("morning"), silence(3)]
    events = await events_of(getattr(sessions, kind)(endpointing), audio)
    assert texts(events) == [("good morning", STOP)]


async def test_the_end_of_utterances_is_told_once_behind_each(sessions, kind, say):
    endpointing = Endpointing(silence_s=0.5, longest_s=20, utterance_end_s=1.0)
    audio = [say("good"), silence(3), say("morning"), silence(3)]
    events = await events_of(getattr(sessions, kind)(endpointing), audio)
    ends = [event for event in events if isinstance(event, UtteranceEnd)]
    assert [end.last_word_end_s for end in ends] == [
        final.words[-1].end_s for final in finals(events)
    ]
    assert len(ends) == 2


async def test_a_window_stays_bounded_and_what_it_commits_stays(sessions):
    text = " ".join(["lorem ipsum dolor sit amet"] * 12)
    audio = speak(text)
    assert audio.size > 16_000 * 25
    sessions.heard.clear()
    session = sessions.windowed(Endpointing(silence_s=0.5, longest_s=60))
    events = await events_of(session, np.array_split(audio, 100))
    (final,) = finals(events)
    assert final.text == text
    assert max(sessions.heard) <= 16_000 * 6.1
    assert any(event.stable_chars for event in partials(events))
    for event in partials(events):
        assert text.startswith(event.text[: event.stable_chars])


async def test_late_audio_is_not_heard_for_partials_that_nobody_waits_for(sessions):
    audio = speak("good morning dear listeners")
    sessions.heard.clear()
    await events_of(sessions.windowed(), [audio])
    at_once = len(sessions.heard)
    sessions.heard.clear()
    await events_of(sessions.windowed(), np.array_split(audio, 100))
    assert at_once <= 3 < len(sessions.heard)


async def test_partials_wait_while_others_wait_for_the_model_and_finals_do_not(sessions):
    is_busy = True
    session = sessions.windowed(is_busy=lambda: is_busy)
    pieces = np.array_split(speak("good morning"), 20)
    assert not partials(await events_of(session, pieces, stop=False))
    is_busy = False
    events = await events_of(session, [silence(0.04)])
    assert [partial.text for partial in partials(events)] == ["good morning"]
    is_busy = True
    assert texts(events) == [("good morning", STOP)]
