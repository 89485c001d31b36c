import asyncio

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from service.audio import AudioLimits
from service.ctc import Word
from service.errors import NotReady
from service.metrics import Metrics
from service.streaming.endpointing import Endpointing
from service.streaming.events import Final, FinalReason, Partial
from service.streaming.recogniser import Hypothesis
from service.streaming.session import Session
from service.streaming.sources import AudioFormat, RawSource
from service.streaming.stream import Marked, Stream

WORD = Word("word", 0.0, 0.1, 0.9)
SOUND = np.tile(np.array([3000, -3000], "<i2"), 8000).tobytes()  # a second


class OneWord:
    """Hears a word in whatever it is given; each block takes a second."""

    heard_nothing_s = 0.0

    def __init__(self, clock):
        self._clock = clock
        self._heard_s = 0.0

    async def feed(self, block, *, wants_partial):
        self._clock.now_s += block.size / 16_000
        self._heard_s += block.size / 16_000
        return Hypothesis((WORD,), 0, self._heard_s)

    async def finish(self):
        self._heard_s = 0.0
        return (WORD,)


class Clock:
    now_s = 100.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def metrics():
    return Metrics(CollectorRegistry())


@pytest.fixture
def stream(clock, metrics):
    session = Session(OneWord(clock), Endpointing(0.5, 20))
    source = RawSource(AudioFormat(), AudioLimits())
    return Stream(session, source, metrics, buffer_s=1.0, clock=clock)


async def all_events(stream):
    return [event async for event in stream.events()]


def sample(metrics, name):
    return metrics.registry.get_sample_value(name)


async def test_latencies_are_measured_from_the_arrival_of_the_audio(stream, metrics, clock):
    await stream.push(SOUND[:1280])
    clock.now_s += 2
    await stream.stop()
    clock.now_s += 5
    events = await all_events(stream)
    assert [type(event) for event in events[-2:]] == [Partial, Final]
    assert sample(metrics, "stt_stream_partial_latency_seconds_sum") == pytest.approx(7.04)
    assert sample(metrics, "stt_stream_final_latency_seconds_sum") == pytest.approx(5.04)
    assert sample(metrics, "stt_audio_seconds_total") == pytest.approx(0.04)


async def test_lag_is_the_age_of_the_oldest_audio_that_nobody_heard(stream, clock):
    assert stream.lag_s == 0
    await stream.push(SOUND[:1280])
    clock.now_s += 3
    await stream.push(SOUND[:1280])
    assert stream.lag_s == 3
    await stream.stop()
    await all_events(stream)
    assert stream.lag_s == 0


async def test_who_sends_ahead_waits_until_there_is_room(stream):
    await stream.push(SOUND)
    pushing = asyncio.create_task(stream.push(SOUND))
    await asyncio.sleep(0)
    assert not pushing.done()
    events = stream.events()
    assert await anext(events)
    await pushing
    await events.aclose()


async def test_a_mark_comes_behind_all_that_was_pushed_before(stream):
    await stream.push(SOUND)
    stream.mark()
    await stream.stop()
    events = await all_events(stream)
    assert isinstance(events[-2], Marked)
    assert (events[-2].position_s, events[-1].reason) == (1.0, FinalReason.STOP)


async def test_who_must_leave_gets_the_text_first(stream):
    await stream.push(SOUND)
    stream.leave(NotReady("draining"))
    events = []

    async def hear():
        async for event in stream.events():
            events.append(event)

    with pytest.raises(NotReady):
        await hear()
    assert (events[-1].text, events[-1].reason) == ("word", FinalReason.STOP)
