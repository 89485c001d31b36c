"""Mixed load for as long as `SOAK_S` says: no good request fails, and nothing grows or stays."""

import asyncio
import time
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest
from watched_server import Watched, watched

from service.config import PACKAGED_BUNDLE
from tests.reliability.amounts import SOAK_S
from tests.reliability.mixed_load import MixedLoad, percentile_99_ms

PAUSE_S = 2.0 if SOAK_S > 60 else 0.5
SAMPLE_S = 5.0
LONG_ENOUGH_S = 300  # before that, heaps grow to their size
GROWTH = 1.10
EMPTY = (
    "stt_active_streams",
    "stt_decoded_audio_seconds",
    'stt_queue_size{lane="live"}',
    'stt_queue_size{lane="interactive"}',
    'stt_queue_size{lane="bulk"}',
)


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Watched]:
    jobs = str(tmp_path_factory.mktemp("jobs"))
    with watched(PACKAGED_BUNDLE, STT_JOBS_DIR=jobs) as started:
        yield started


async def watch(server: Watched, memory: list[tuple[float, int]]) -> None:
    """Note the resident memory every few seconds, until it is cancelled."""
    begun_s = time.monotonic()
    while True:
        bytes_now = await asyncio.to_thread(server.resident_bytes)
        memory.append((time.monotonic() - begun_s, bytes_now))
        await asyncio.sleep(min(SAMPLE_S, SOAK_S / 20))


async def test_good_requests_never_fail_and_nothing_grows_or_stays(server):
    # Two at once, so that pools have all their threads, which they start when they need them.
    warming = [MixedLoad(server.client.base_url, PAUSE_S) for _ in range(2)]
    await asyncio.gather(*(load.run(min(SOAK_S / 5, 60)) for load in warming))
    idle = await asyncio.to_thread(settled, server)
    load = MixedLoad(server.client.base_url, PAUSE_S)
    memory: list[tuple[float, int]] = []
    watching = asyncio.create_task(watch(server, memory))
    record = await load.run(SOAK_S)
    watching.cancel()
    after = await asyncio.to_thread(settled, server)
    report(record, memory, idle, after)
    assert record.wrong == []
    assert not server.faults()
    files, threads = zip(idle, after, strict=True)
    assert files[1] <= files[0]
    assert threads[1] <= threads[0]
    first, last = (np.median(part) for part in (sixths(memory)[1], sixths(memory)[-1]))
    assert last < first * GROWTH or SOAK_S < LONG_ENOUGH_S


def settled(server: Watched) -> tuple[int, int]:
    """Open files and threads, once everybody is gone."""
    for name in EMPTY:
        assert server.settles(name, 0), name
    time.sleep(2)  # for connections to be closed
    return server.open_files(), server.threads()


def sixths(rows: list[tuple[float, float]] | list[tuple[float, int]]) -> list[list[float]]:
    """Values by time, in six parts."""
    edges = np.linspace(0, max(SOAK_S, rows[-1][0]) + 1e-9, 7)
    return [
        [value for at_s, value in rows if first <= at_s < last] or [float("nan")]
        for first, last in pairwise(edges)
    ]


def report(record, memory, idle, after) -> None:
    at_h, resident_mb = (np.array(column) for column in zip(*memory, strict=True))
    late = at_h > SOAK_S / 6
    slope = np.polyfit(at_h[late] / 3600, resident_mb[late] / 1e6, 1)[0] if late.sum() > 2 else 0.0
    first, last = sixths(record.short_s)[0], sixths(record.short_s)[-1]
    print(
        f"\n{SOAK_S:.0f} s: {dict(record.done)}; {len(record.wrong)} wrong\n"
        f"open files {idle[0]} -> {after[0]}, threads {idle[1]} -> {after[1]}\n"
        f"memory by sixths, MB: {[round(float(np.median(m)) / 1e6) for m in sixths(memory)]}, "
        f"slope after the first {slope:+.1f} MB an hour\n"
        f"p99 of short files, ms: first sixth {interval(first)}, last {interval(last)}"
    )


def interval(latencies_s: list[float]) -> str:
    middle, low, high = percentile_99_ms(latencies_s)
    return f"{middle:.0f} [{low:.0f}, {high:.0f}] of {len(latencies_s)}"
