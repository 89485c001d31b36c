import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.access.budgets import Bucket, Budget
from service.access.keys import Limits
from service.errors import RateLimited


class Clock:
    def __init__(self):
        self.now_s = 100.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def clock():
    return Clock()


def test_a_minute_has_its_requests_and_they_come_back_evenly(clock):
    budget = Budget(Limits(requests_per_minute=6), clock)
    for _ in range(6):
        budget.check()
    with pytest.raises(RateLimited, match="its 6 requests a minute") as caught:
        budget.check()
    assert caught.value.retry_after_s == pytest.approx(10)
    clock.now_s += 9.9
    with pytest.raises(RateLimited):
        budget.check()
    clock.now_s += 0.2
    budget.check()
    with pytest.raises(RateLimited):
        budget.check()


def test_audio_is_paid_for_when_it_is_known(clock):
    budget = Budget(Limits(audio_s_per_minute=60), clock)
    budget.check()
    budget.hear(90)
    for check in (budget.check, budget.check_audio):
        with pytest.raises(RateLimited, match="its 60 s of audio a minute") as caught:
            check()
        assert caught.value.retry_after_s == pytest.approx(30)
    clock.now_s += 30
    budget.check()


def test_a_stream_in_real_time_may_go_on_for_ever_at_its_rate(clock):
    budget = Budget(Limits(audio_s_per_minute=60), clock)
    for _ in range(300):
        clock.now_s += 1
        budget.hear_live(1)
    with pytest.raises(RateLimited):
        budget.hear_live(61)


def test_streams_are_counted_while_they_are_open(clock):
    budget = Budget(Limits(max_streams=2), clock)
    with budget.stream():
        with budget.stream(), pytest.raises(RateLimited, match="2 open streams") as caught:
            budget.stream().__enter__()
        assert (caught.value.found, caught.value.limit) == (2, 2)
        with budget.stream():
            pass


def test_headers_tell_what_is_left(clock):
    budget = Budget(Limits(requests_per_minute=60, audio_s_per_minute=600), clock)
    budget.check()
    budget.hear(900)
    assert budget.headers() == {
        "RateLimit-Policy": '"requests";q=60;w=60, "audio-seconds";q=600;w=60',
        "RateLimit": '"requests";r=59;t=1, "audio-seconds";r=0;t=90',
    }
    assert Budget(Limits(max_streams=1), clock).headers() == {}


@given(
    capacity=st.integers(1, 1000),
    steps=st.lists(st.tuples(st.floats(0, 100), st.floats(0, 50)), max_size=30),
)
def test_no_more_is_spent_than_a_minutes_worth_and_what_came_back(capacity, steps):
    clock = Clock()
    bucket = Bucket(capacity, clock)
    began_s, spent = clock.now_s, 0.0
    for pause_s, amount in steps:
        clock.now_s += pause_s
        if bucket.wait_s(amount) == 0:
            bucket.spend(amount)
            spent += amount
        assert spent <= capacity * (1 + (clock.now_s - began_s) / 60) + 1e-6
        assert bucket.left <= capacity
