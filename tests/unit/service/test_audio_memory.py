import threading
from contextlib import suppress

import pytest
from prometheus_client import CollectorRegistry

from service.audio_memory import FREE_S, AudioMemory
from service.errors import Overloaded
from service.metrics import Metrics


class Bench:
    def __init__(self, limit_s):
        self.metrics = Metrics(CollectorRegistry())
        self.memory = AudioMemory(limit_s, self.metrics, lambda audio_s: audio_s / 10)

    def value(self, name, **labels):
        return self.metrics.registry.get_sample_value(f"stt_{name}", labels)


@pytest.fixture
def bench():
    return Bench(1000)


def test_long_files_share_what_there_is(bench):
    with bench.memory.share() as first, bench.memory.share() as second:
        first(700 + FREE_S)
        with pytest.raises(Overloaded) as refused:
            second(301 + FREE_S)
        assert (refused.value.found, refused.value.limit) == (1001, 1000)
        assert refused.value.retry_after_s == 70
        assert bench.value("decoded_audio_seconds") == 700
        assert bench.value("rejected_total", reason="memory_full") == 1
        second(300 + FREE_S)
        assert bench.value("decoded_audio_seconds") == 1000
    assert bench.value("decoded_audio_seconds") == 0


def test_short_files_are_never_refused(bench):
    with bench.memory.share() as first, bench.memory.share() as second:
        first(5000)
        second(FREE_S)


def test_a_lone_file_may_be_longer_than_the_limit(bench):
    with bench.memory.share() as resize:
        for seconds in range(100, 5000, 100):
            resize(seconds)


def test_what_shrinks_makes_room(bench):
    with bench.memory.share() as first, bench.memory.share() as second:
        first(5000)
        first(100 + FREE_S)
        second(900 + FREE_S)
        first(50 + FREE_S)


def test_a_failure_gives_its_share_back(bench):
    with suppress(ZeroDivisionError), bench.memory.share() as resize:
        resize(900)
        raise ZeroDivisionError
    with bench.memory.share() as first, bench.memory.share() as second:
        first(500)
        second(500)


def test_threads_never_hold_more_than_the_limit_together(bench):
    held, largest = {}, []

    def work(number):
        for _ in range(200):
            with bench.memory.share() as resize:
                for seconds in (FREE_S + 100, FREE_S + 400):
                    try:
                        resize(seconds)
                    except Overloaded:
                        break
                    held[number] = seconds - FREE_S
                    largest.append(sum(list(held.values())))
                held.pop(number, None)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(largest) <= 1000
    assert bench.value("decoded_audio_seconds") == 0
