"""Latency of the service by the number of clients, and beside an hour-long file."""

import time

import pytest

from service.config import PACKAGED_BUNDLE
from tests.benchmarks import options
from tests.benchmarks.clients import Load, finish, latency_ms, speed
from tests.benchmarks.clips import mixed_clips, one_clip
from tests.benchmarks.servers import our_server
from tests.benchmarks.tables import print_table
from tests.benchmarks.timing import estimate, interleave

BUDGET_S = 400
SHORT_S = 3.0
LONGEST_LONG_S = 3600
BESIDE_REQUESTS = 40
BATCHES, POLL_S = 12, 0.2  # of the file alone, measured before the requests begin
PADDING, SIZE, BATCH = "stt_batch_padding_ratio", "stt_batch_size", "stt_inference_duration_seconds"


def _mean(before, after, histogram):
    """Mean of what a histogram observed between two scrapes."""
    total, count = (
        after[f"{histogram}_{part}"] - before[f"{histogram}_{part}"] for part in ("sum", "count")
    )
    return total / count


def _observed(server, load):
    """Report of a load, and the metrics before and after it."""
    with server.awake() as url:
        before = server.metrics()
        report = load.run(url)
        return report, before, server.metrics()


@pytest.mark.bench
def test_latency_by_clients():
    clips = mixed_clips(options.CLIPS)
    loads = {
        clients: Load(clips, clients=clients, requests=max(options.REQUESTS, 2 * clients))
        for clients in options.CLIENTS
    }
    with our_server(PACKAGED_BUNDLE) as server:
        _observed(server, loads[options.CLIENTS[0]])
        measured = interleave(
            {
                f"{clients}": lambda load=load: _observed(server, load)
                for clients, load in loads.items()
            },
            rounds=options.ROUNDS,
            budget_s=BUDGET_S,
        )
    rows = []
    for clients, runs in measured.items():
        reports = [report for report, _, _ in runs]
        quantiles = [f"{latency_ms(reports, one):.0f}" for one in (0.5, 0.95, 0.99)]
        padding, size = (
            estimate([_mean(before, after, name) for _, before, after in runs])
            for name in (PADDING, SIZE)
        )
        ends = f"{padding:.1%}", f"{size:.1f}", str(len(runs))
        rows.append([clients, f"{speed(reports):.0f}", *quantiles, *ends])
    header = ["clients", "x real time", "p50 ms", "p95 ms", "p99 ms", "padding", "batch size"]
    print_table(
        "The service with its defaults, clips of 1 to 30 s",
        [*header, "rounds"],
        rows,
        "Padding and batch size: means over the batches of a round, from /metrics. Quantiles are "
        "of all rounds together.",
    )


def _beside(server, hour, short):
    """The short requests beside the long file, a batch of the file alone in ms, and whether it
    outlasted them.
    """
    with server.awake() as url, hour.started(url) as background:
        while not (before := server.metrics())["stt_queue_size,lane=bulk"]:
            assert background.poll() is None, "the long file was done at once"
        while (after := server.metrics())[f"{BATCH}_count"] < before[f"{BATCH}_count"] + BATCHES:
            time.sleep(POLL_S)
        report = short.run(url)
        still_there = background.poll() is None
        finish(background)
    return report, 1e3 * _mean(before, after, BATCH), still_there


@pytest.mark.bench
def test_a_short_request_beside_an_hour_long_file():
    hour_s = min(LONGEST_LONG_S, max(options.LONG_S))
    hour = Load(one_clip(hour_s), requests=1)
    short = Load(one_clip(SHORT_S), requests=min(BESIDE_REQUESTS, options.REQUESTS))
    with our_server(PACKAGED_BUNDLE) as server:
        server.under(short)
        measured = interleave(
            {
                "idle": lambda: (server.under(short),),
                "beside": lambda: _beside(server, hour, short),
            },
            rounds=options.ROUNDS,
            budget_s=BUDGET_S,
        )
    reports = {name: [run[0] for run in runs] for name, runs in measured.items()}
    rows = [
        [name, *(f"{latency_ms(runs, one):.0f}" for one in (0.5, 0.95, 0.99)), str(len(runs))]
        for name, runs in reports.items()
    ]
    batch_ms = estimate([batch_ms for _, batch_ms, _ in measured["beside"]])
    idle_ms, beside_ms = (latency_ms(reports[name], 0.99).value for name in ("idle", "beside"))
    overlapping = sum(still_there for _, _, still_there in measured["beside"])
    print_table(
        f"A request of {SHORT_S:g} s, alone and beside a file of {hour_s} s",
        ["server", "p50 ms", "p95 ms", "p99 ms", "rounds"],
        rows,
        f"One batch of the file: {batch_ms:.0f} ms. "
        f"Goal for p99: {3 * idle_ms + batch_ms.value:.0f} ms (three times idle, and a batch); "
        f"found {beside_ms:.0f} ms. {short.requests} requests a round by one client; the long "
        f"file outlasted them in {overlapping} of {len(measured['beside'])} rounds.",
    )
