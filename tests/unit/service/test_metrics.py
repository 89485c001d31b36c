import re
import sys

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from service import memory
from service.metrics import Metrics

EXPECTED = {
    "stt_requests_total": ("endpoint", "status"),
    "stt_audio_seconds_total": (),
    "stt_batches_total": ("reason",),
    "stt_rejected_total": ("reason",),
    "stt_cancelled_total": (),
    "stt_request_duration_seconds": ("endpoint",),
    "stt_audio_decode_duration_seconds": (),
    "stt_queue_duration_seconds": ("lane",),
    "stt_inference_duration_seconds": (),
    "stt_decoded_audio_seconds": (),
    "stt_ctc_decode_duration_seconds": (),
    "stt_batch_size": (),
    "stt_batch_audio_seconds": (),
    "stt_batch_padding_ratio": (),
    "stt_queue_size": ("lane",),
    "stt_queue_audio_seconds": ("lane",),
    "stt_active_streams": (),
    "stt_max_streams": (),
    "stt_stream_lag_seconds": (),
    "stt_stream_partial_latency_seconds": (),
    "stt_stream_final_latency_seconds": (),
    "stt_jobs": ("status",),
    "stt_jobs_finished_total": ("outcome",),
    "stt_ready": (),
    "stt_sessions": (),
    "stt_model_memory_bytes": ("model",),
    "stt_peak_memory_bytes": (),
    "stt_model_info": ("name",),
    "stt_bundle_loads_total": ("outcome",),
    "stt_decoder_deaths_total": ("reason",),
}


def test_names_and_labels_are_the_documented_ones() -> None:
    metrics = Metrics(CollectorRegistry())
    instruments = [
        value for name, value in vars(metrics).items() if name != "registry" and name[0] != "_"
    ]
    suffix = {"counter": "_total", "info": "_info"}
    found = {one._name + suffix.get(one._type, ""): one._labelnames for one in instruments}
    assert found == EXPECTED


def test_metrics_without_labels_show_zero_before_anything_happens() -> None:
    text = generate_latest(Metrics(CollectorRegistry()).registry).decode()
    for name in ("stt_audio_seconds_total", "stt_cancelled_total", "stt_batch_size_count"):
        assert re.search(rf"^{name} 0\.0$", text, re.MULTILINE)


@pytest.mark.skipif(sys.platform != "linux", reason="read from /proc")
def test_the_process_is_measured_too() -> None:
    text = generate_latest(Metrics(CollectorRegistry()).registry).decode()
    assert "process_resident_memory_bytes" in text
    assert "process_open_fds" in text


def test_peak_memory_is_read_at_scrape() -> None:
    registry = CollectorRegistry()
    Metrics(registry)
    peak = registry.get_sample_value("stt_peak_memory_bytes")
    assert peak is not None
    assert 0 < peak <= memory.peak_bytes()
    assert memory.resident_bytes() > 1_000_000


def test_the_model_is_named() -> None:
    metrics = Metrics(CollectorRegistry())
    metrics.model_info.labels("tiny").info({"precision": "int8"})
    assert metrics.registry.get_sample_value(
        "stt_model_info", {"name": "tiny", "precision": "int8"}
    )


def test_one_registry_takes_one_set_of_metrics() -> None:
    registry = CollectorRegistry()
    Metrics(registry)
    with pytest.raises(ValueError, match="Duplicated"):
        Metrics(registry)
