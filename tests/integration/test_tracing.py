"""Spans that a real server sends over a real socket to a receiver of OTLP."""

import gzip
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from threading import Thread

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from patience import PATIENCE_S
from recordings import recordings
from server_process import connected, process, wait_for_readiness
from tiny_bundle import make_bundle

from service.config import PACKAGED_BUNDLE

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLER = "00f067aa0ba902b7"
STAGES = ["decode", "queue", "inference", "ctc"]
ERROR = 2


@contextmanager
def collector():
    """Its address, and the spans it was sent."""
    spans = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            sent = ExportTraceServiceRequest.FromString(body)
            for resource in sent.resource_spans:
                for scope in resource.scope_spans:
                    spans.extend(scope.spans)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", spans
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def traced(tmp_path, address, folder=PACKAGED_BUNDLE):
    """A client of a server that sends its spans there, and how to end the server."""
    settings = {
        "STT_JOBS_DIR": str(tmp_path),
        "STT_TRACING": "true",
        "STT_LOG_FORMAT": "json",
        "OTEL_EXPORTER_OTLP_ENDPOINT": address,
    }
    with process(folder, **settings) as server, connected(server) as client:
        wait_for_readiness(client, 200)

        def end():
            server.send_signal(signal.SIGTERM)
            _, log = server.communicate(timeout=PATIENCE_S)
            assert server.returncode == 0
            return log

        yield client, end


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """The spans of a transcription and of a refused file, the log, and what was answered."""
    clip = recordings()[0].path.read_bytes()
    with (
        collector() as (address, spans),
        traced(tmp_path_factory.mktemp("jobs"), address) as (client, end),
    ):
        parent = {"traceparent": f"00-{TRACE}-{CALLER}-01"}
        answer = client.post("/transcribe", files={"file": clip}, headers=parent)
        assert answer.headers["X-Request-ID"] == TRACE
        refused = client.post("/transcribe", files={"file": b"no audio"})
        assert refused.status_code == 415
        log = end()
        return spans, log, answer.json(), refused.headers["X-Request-ID"]


def of(spans, trace):
    return {span.name: span for span in spans if span.trace_id.hex() == trace}


def facts(span):
    return {
        one.key: one.value.string_value or one.value.int_value or one.value.double_value
        for one in span.attributes
    }


def test_a_trace_continues_the_callers(told):
    spans = of(told[0], TRACE)
    assert spans.keys() == {"POST", "transcribe", *STAGES}
    assert spans["POST"].parent_span_id.hex() == CALLER
    assert spans["transcribe"].parent_span_id == spans["POST"].span_id
    for name in STAGES:
        assert spans[name].parent_span_id == spans["transcribe"].span_id


def test_stages_follow_each_other_within_the_request(told):
    spans = of(told[0], TRACE)
    times = [spans["POST"].start_time_unix_nano]
    for name in STAGES:
        times += [spans[name].start_time_unix_nano, spans[name].end_time_unix_nano]
    times.append(spans["POST"].end_time_unix_nano)
    slack_ns = 2_000_000  # between the clock of the durations and that of the spans
    assert all(later > earlier - slack_ns for earlier, later in pairwise(times))
    took_s = {
        name: spans[name].end_time_unix_nano - spans[name].start_time_unix_nano for name in STAGES
    }
    assert took_s["inference"] / 1e9 == pytest.approx(told[2]["timing"]["inference_s"], abs=1e-3)


def test_facts_are_small_and_hold_no_words(told):
    spans, _, answer, _ = told
    assert facts(of(spans, TRACE)["POST"]) == {
        "http.request.method": "POST",
        "http.route": "/transcribe",
        "http.response.status_code": 200,
    }
    assert facts(of(spans, TRACE)["transcribe"]) == {"audio.duration_s": answer["duration_s"]}
    for name in STAGES:
        assert (name == "inference") == bool(facts(of(spans, TRACE)[name]))


def test_inference_tells_of_its_batch(told):
    spans, _, answer, _ = told
    batch = facts(of(spans, TRACE)["inference"])
    assert batch["batch.size"] == 1
    assert batch["batch.audio_s"] == pytest.approx(answer["duration_s"], abs=1e-3)
    assert batch.keys() == {"batch.size", "batch.audio_s"}


def test_a_refused_file_has_a_trace_whose_id_is_that_of_the_request(told):
    spans, log, _, request_id = told
    (span,) = [one for one in of(spans, request_id).values() if one.name == "POST"]
    assert facts(span)["http.response.status_code"] == 415
    assert span.status.code != ERROR
    assert request_id in log


def test_probes_are_not_traced(told):
    assert {span.name for span in told[0]} == {"POST", "transcribe", *STAGES}


def test_no_words_are_logged(told):
    _, log, answer, _ = told
    assert answer["text"]
    assert not any(word in log.split() for word in answer["text"].split() if len(word) > 4)


def test_a_dead_collector_harms_nobody(tmp_path):
    folder = make_bundle(tmp_path / "tiny")
    with traced(tmp_path / "jobs", "http://127.0.0.1:9", folder) as (client, end):
        for _ in range(20):
            assert client.get("/version").status_code == 200
        end()


def test_without_the_extra_it_is_refused_in_one_line():
    hidden = (
        "import sys; sys.modules['opentelemetry.sdk'] = None; "
        "import service.cli as cli; sys.exit(cli.main(['run']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", hidden],
        env=os.environ | {"STT_TRACING": "true", "STT_PORT": "0"},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 2
    assert "extra tracing" in done.stderr
    assert "Traceback" not in done.stderr
