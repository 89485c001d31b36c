"""What the metrics of one request cost, beside the request itself."""

import statistics
import time

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from service.lanes import Lane
from service.metrics import Metrics

CALLS = 2000
ROUNDS = 21


def feed(metrics):
    """All that one request alone in its batch counts and observes."""
    metrics.requests.labels("/transcribe", "200").inc()
    metrics.request_duration.labels("/transcribe").observe(0.07)
    metrics.audio_seconds.inc(3)
    metrics.audio_decode_duration.observe(0.004)
    metrics.ctc_decode_duration.observe(0.008)
    for gauge in (metrics.queue_size, metrics.queue_audio_seconds):
        gauge.labels(Lane.INTERACTIVE).set(1)
        gauge.labels(Lane.INTERACTIVE).set(0)
    metrics.batches.labels("full").inc()
    metrics.inference_duration.observe(0.06)
    metrics.batch_size.observe(1)
    metrics.batch_audio_seconds.observe(3)
    metrics.batch_padding_ratio.observe(0)
    metrics.queue_duration.labels(Lane.INTERACTIVE).observe(0.001)


def microseconds(call, calls):
    started_s = time.perf_counter()
    for _ in range(calls):
        call()
    return (time.perf_counter() - started_s) / calls * 1e6


@pytest.mark.bench
def test_metrics_cost():
    metrics = Metrics(CollectorRegistry())
    feed(metrics)
    request = [microseconds(lambda: feed(metrics), CALLS) for _ in range(ROUNDS)]
    scrape = [microseconds(lambda: generate_latest(metrics.registry), 20) for _ in range(ROUNDS)]
    print()
    for what, times in (("one request", request), ("one scrape", scrape)):
        print(f"{what}: {statistics.median(times):.0f} us, {min(times):.0f} to {max(times):.0f}")
