from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.audio import AudioLimits
from service.errors import AudioTooLong, NotReady
from service.isolation import wire
from service.isolation.wire import Bounds, Kind, Nonsense, Task


def test_a_task_arrives_as_it_is():
    task = Task(True, AudioLimits(max_duration_s=1.5, min_samples=7), Bounds(2.5, 1024))
    assert Task.unpacked(task.packed()) == task


def test_samples_and_seconds_arrive_as_they_are():
    seconds, samples = wire.read_samples(wire.samples_payload(1.5, np.array([0.5, -1], np.float32)))
    assert (seconds, samples.tolist()) == (1.5, [0.5, -1])


def test_an_error_arrives_as_it_is():
    told = wire.read_failure(wire.failure_payload(AudioTooLong("too long", found=3.5, limit=2)))
    assert isinstance(told, AudioTooLong)
    assert (told.message, told.found, told.limit) == ("too long", 3.5, 2)


def test_a_child_cannot_speak_for_the_service():
    with pytest.raises(Nonsense):
        wire.read_failure(wire.failure_payload(NotReady("gone")))


@given(st.binary(max_size=64))
def test_what_makes_no_sense_is_nonsense_and_nothing_else(payload):
    with suppress(Nonsense):
        wire.read_failure(payload)
    with suppress(Nonsense):
        wire.read_samples(payload)


@given(st.integers(0, 255), st.integers(0, 2**32 - 1))
def test_no_message_is_larger_than_agreed(number, size_bytes):
    packed = wire.HEADER.pack(number, size_bytes)
    if number in set(Kind) and size_bytes <= wire.MAX_PAYLOAD_BYTES:
        assert wire.header(packed) == (number, size_bytes)
    else:
        with pytest.raises(Nonsense):
            wire.header(packed)
