"""How many people a server hears at once, and what a stream costs as it grows old."""

import asyncio

import jiwer
import numpy as np
import pytest

from service.bundle import load_bundle
from tests.benchmarks import live, options
from tests.benchmarks.servers import Server, our_server
from tests.benchmarks.spoken import sets
from tests.benchmarks.tables import print_table, verdict

LATEST_MS, LARGEST_LAG_S = 500, 1.0
LARGEST_GAP_S = 0.6  # half a second, and the tenth that the clients' pieces last
POLL_S = 0.5
PARTIAL, FINAL = "stt_stream_partial_latency_seconds", "stt_stream_final_latency_seconds"
CPU, RESIDENT = "process_cpu_seconds_total", "process_resident_memory_bytes"
MANY = {"STT_MAX_STREAMS": "5000"}


def kinds() -> dict[str, str]:
    """Ways in which the bundle can hear streams, and the setting of each."""
    if load_bundle(options.BUNDLE).manifest.streaming is None:
        return {"windowed": "windowed"}
    return {"incremental": "auto", "windowed": "windowed"}


def quantile_ms(
    before: dict[str, float], after: dict[str, float], name: str, quantile: float
) -> float:
    """Quantile of what a histogram observed between two scrapes, within its bucket evenly."""
    counts = {
        float(key.split("le=")[1]): after[key] - before.get(key, 0.0)
        for key in after
        if key.startswith(f"{name}_bucket")
    }
    wanted = quantile * max(counts.values())
    low_s = below = 0.0
    for high_s, count in sorted(counts.items()):
        if count >= wanted:
            share = (wanted - below) / max(1e-9, count - below)
            return 1000 * (low_s + share * (high_s - low_s))
        low_s, below = high_s, count
    raise AssertionError("the last bucket holds everything")


async def _watched(server: Server, lags_s: list[float]) -> None:
    while True:
        metrics = await asyncio.to_thread(server.metrics)
        lags_s.append(metrics["stt_stream_lag_seconds"])
        await asyncio.sleep(POLL_S)


def _measure(server: Server, size: int) -> tuple[bool, list[str]]:
    """Whether so many are heard in time, and their row."""

    async def run(lags_s: list[float]) -> list[live.Heard]:
        watching = asyncio.create_task(_watched(server, lags_s))
        heard = await live.crowd(server.url, sets()[0].clips, size, options.LIVE_S)
        watching.cancel()
        return heard

    lags_s: list[float] = []
    with server.awake():
        before = server.metrics()
        heard = asyncio.run(run(lags_s))
        after = server.metrics()
    spoken_s = after["stt_audio_seconds_total"] - before["stt_audio_seconds_total"]
    p50, p95 = (quantile_ms(before, after, PARTIAL, one) for one in (0.5, 0.95))
    final50, final95 = (quantile_ms(before, after, FINAL, one) for one in (0.5, 0.95))
    wer = jiwer.wer([one.said for one in heard], [" ".join(one.finals) for one in heard])
    gap_s = float(np.median([gap_s for one in heard for gap_s in one.gaps_s]))
    row = [
        str(size),
        f"{p50:.0f}; {p95:.0f}",
        f"{1000 * gap_s:.0f}",
        f"{final50:.0f}; {final95:.0f}",
        f"{max(lags_s):.2f}",
        f"{1000 * (after[CPU] - before[CPU]) / spoken_s:.0f}",
        f"{100 * wer:.1f}",
    ]
    in_time = p95 <= LATEST_MS and max(lags_s) <= LARGEST_LAG_S and gap_s <= LARGEST_GAP_S
    return in_time, row


@pytest.mark.bench
def test_people_at_once():
    rows, reached = [], {}
    for kind, setting in kinds().items():
        with our_server(options.BUNDLE, STT_STREAMING=setting, **MANY) as server:
            _measure(server, 1)
            for size in options.LIVE:
                in_time, row = _measure(server, size)
                rows.append([kind, *row, verdict(in_time)])
                if not in_time:
                    break
                reached[kind] = size
    form = load_bundle(options.BUNDLE).manifest.streaming
    state = "no streaming graph" if form is None else f"{form.state_bytes} bytes of state a stream"
    print_table(
        f"People who speak at once, on {options.CORES} cores",
        [
            "kind",
            "streams",
            "partial p50; p95, ms",
            "from partial to partial, ms",
            "final p50; p95, ms",
            "worst lag, s",
            "CPU, ms per s",
            "words wrong, %",
            "in time",
        ],
        rows,
        f"{state}; in time: {', '.join(f'{kind} {size}' for kind, size in reached.items())}: "
        f"p95 of partials within {LATEST_MS} ms, lag within {LARGEST_LAG_S:.0f} s, and half of the "
        f"partials within {LARGEST_GAP_S} s of the one before. A partial's latency runs from the "
        "arrival of the last sample that it covers, a final's from the arrival of what ended it.",
    )


@pytest.mark.bench
def test_a_stream_costs_no_more_as_it_grows_old():
    async def run(server: Server) -> list[tuple[float, float]]:
        """Seconds of CPU at each final's end, by the stream's time."""
        marks: list[tuple[float, float]] = []
        waveform, said = live.speech(sets()[0].clips, 0, options.LIVE_LONG_S)
        await live.speak(
            server.url,
            waveform,
            live.Heard(said),
            paced=False,
            on_final=lambda message: marks.append((message["end_s"], server.metrics()[CPU])),
        )
        return marks

    with our_server(options.BUNDLE) as server, server.awake():
        marks = asyncio.run(run(server))
    minutes = [_cost_s(marks, 60 * minute) for minute in range(int(options.LIVE_LONG_S) // 60 - 1)]
    # The first is not counted: it pays for what is done once.
    first, last = minutes[1], minutes[-1]
    print_table(
        "CPU of one stream, sent as fast as it is taken",
        ["minute", "seconds"],
        [["2", f"{first:.2f}"], [str(len(minutes)), f"{last:.2f}"]],
        f"ratio {last / first:.2f}",
    )


def _cost_s(marks: list[tuple[float, float]], from_s: float) -> float:
    """CPU of the minute from there, in seconds, between the finals nearest to its ends."""
    ends = [min(marks, key=lambda mark: abs(mark[0] - at_s)) for at_s in (from_s, from_s + 60)]
    (start_s, start_cpu_s), (end_s, end_cpu_s) = ends
    return 60 * (end_cpu_s - start_cpu_s) / (end_s - start_s)


@pytest.mark.bench
def test_streams_leave_no_memory_behind():
    waveform, _ = live.speech(sets()[0].clips, 0, 1.0)

    async def run(url: str, count: int) -> None:
        for number in range(count):
            if number % 2:
                await live.speak(url, waveform, live.Heard(""), paced=False)
            else:
                async with live.opened(url) as socket:
                    await socket.send(bytes(3200))

    with our_server(options.BUNDLE, **MANY) as server, server.awake():
        rows = []
        for count in (options.LIVE_OPENED // 10, options.LIVE_OPENED):
            asyncio.run(run(server.url, count))
            rows.append([str(count), f"{server.metrics()[RESIDENT] / 1e6:.0f}"])
    print_table("Resident memory after streams", ["streams more", "MB"], rows)
