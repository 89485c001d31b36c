"""What metrics and spans of one request cost, beside the request itself."""

import statistics
import time

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from service.lanes import Lane
from service.metrics import Metrics
from service.tracing import Stage, open_tracer

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


def trace(tracer):
    """All spans of one request."""
    with tracer.request("POST", {}) as span, tracer.span("transcribe"):
        stages = (
            Stage("decode", 0.004),
            Stage("queue", 0.001),
            Stage("inference", 0.06, {"batch.size": 1, "batch.audio_s": 3.0}),
            Stage("ctc", 0.008),
        )
        tracer.stages(time.monotonic(), stages)
        span.set({"http.response.status_code": 200})


@pytest.mark.bench
def test_tracing_cost():
    print()
    for what, wanted in (("tracing on", True), ("tracing off", False)):
        tracer = open_tracer(wanted)
        times = [microseconds(lambda tracer=tracer: trace(tracer), 50) for _ in range(ROUNDS)]
        print(f"{what}: {statistics.median(times):.1f} us, {min(times):.1f} to {max(times):.1f}")
        tracer.close()
