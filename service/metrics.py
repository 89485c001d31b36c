"""Every Prometheus metric of the service, in one object.

Units are base units, and labels come from small fixed sets, never from what a client sends. Whoever
owns a label's set of values initialises it, so that dashboards show 0 instead of nothing.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector

from service import memory

_STAGE_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
_REQUEST_S = (0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900)
_LATENCY_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 2, 5, 10, 30)
_BATCH_SIZE = (1, 2, 4, 8, 16, 32, 64, 128)
_BATCH_AUDIO_S = (1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600, 7200)
_RATIO = (0, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.5, 0.75)


class Metrics:
    """What the service counts and measures.

    Args:
        registry: where everything is registered; one registry takes one `Metrics`.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self._add_requests()
        self._add_queue()
        self._add_batches()
        self._add_streams()
        self._add_jobs()
        self._add_model()
        ProcessCollector(registry=registry)

    def count_waiting(self, lane: str, utterances: int, samples: int, rate_hz: int) -> None:
        """So many more wait in a lane, or fewer; counted in whole numbers over all models."""
        count, total = self._waiting.get(lane, (0, 0))
        self._waiting[lane] = count, total = count + utterances, total + samples
        self.queue_size.labels(lane).set(count)
        self.queue_audio_seconds.labels(lane).set(total / rate_hz)

    def _add_requests(self) -> None:
        self.requests = self._counter(
            "stt_requests_total", "Requests answered, by endpoint and status.", "endpoint", "status"
        )
        self.audio_seconds = self._counter("stt_audio_seconds_total", "Audio transcribed.")
        self.request_duration = self._histogram(
            "stt_request_duration_seconds", "Request to answer.", _REQUEST_S, "endpoint"
        )
        self.audio_decode_duration = self._histogram(
            "stt_audio_decode_duration_seconds", "Bytes to waveform, per request.", _STAGE_S
        )
        self.decoder_deaths = self._counter(
            "stt_decoder_deaths_total", "Decoding processes that ended before their file.", "reason"
        )
        self.decoded_audio_seconds = self._gauge(
            "stt_decoded_audio_seconds",
            "Decoded audio held in memory, beyond the first 30 s of each request.",
        )
        self.ctc_decode_duration = self._histogram(
            "stt_ctc_decode_duration_seconds", "Logits to transcript, per request.", _STAGE_S
        )

    def _add_queue(self) -> None:
        self.rejected = self._counter(
            "stt_rejected_total", "Connections to utterances turned away, by reason.", "reason"
        )
        self.cancelled = self._counter(
            "stt_cancelled_total", "Utterances whose caller left before the answer."
        )
        self.queue_duration = self._histogram(
            "stt_queue_duration_seconds", "Arrival to start of inference.", _STAGE_S, "lane"
        )
        self.queue_size = self._gauge("stt_queue_size", "Utterances that wait, by lane.", "lane")
        self.queue_audio_seconds = self._gauge(
            "stt_queue_audio_seconds", "Audio that waits, by lane.", "lane"
        )
        self._waiting: dict[str, tuple[int, int]] = {}

    def _add_batches(self) -> None:
        self.batches = self._counter(
            "stt_batches_total", "Batches sent, by what ended the wait.", "reason"
        )
        self.inference_duration = self._histogram(
            "stt_inference_duration_seconds", "One batch through the model.", _STAGE_S
        )
        self.batch_size = self._histogram("stt_batch_size", "Utterances in one batch.", _BATCH_SIZE)
        self.batch_audio_seconds = self._histogram(
            "stt_batch_audio_seconds", "Audio in one batch, without padding.", _BATCH_AUDIO_S
        )
        self.batch_padding_ratio = self._histogram(
            "stt_batch_padding_ratio", "Padded part of one batch, 0 to 1.", _RATIO
        )

    def _add_streams(self) -> None:
        self.active_streams = self._gauge("stt_active_streams", "Open WebSocket streams.")
        self.max_streams = self._gauge("stt_max_streams", "Streams that may be open at once.")
        self.stream_lag = self._gauge(
            "stt_stream_lag_seconds", "How long audio has waited, in the worst stream."
        )
        self.stream_partial_latency = self._histogram(
            "stt_stream_partial_latency_seconds",
            "Arrival of the last sample that a partial covers, to the partial.",
            _LATENCY_S,
        )
        self.stream_final_latency = self._histogram(
            "stt_stream_final_latency_seconds",
            "Arrival of what ended an utterance, to its final.",
            _LATENCY_S,
        )

    def _add_jobs(self) -> None:
        self.jobs = self._gauge("stt_jobs", "Jobs that wait or run, by status.", "status")
        self.jobs_finished = self._counter(
            "stt_jobs_finished_total", "Jobs that ended, by how.", "outcome"
        )

    def _add_model(self) -> None:
        self.ready = self._gauge("stt_ready", "1 while requests are taken, else 0.")
        self.sessions = self._gauge("stt_sessions", "Batches that the loaded models take at once.")
        self.model_info = Info(
            "stt_model", "The models that are loaded.", ("name",), registry=self.registry
        )
        self.bundle_loads = self._counter(
            "stt_bundle_loads_total", "Bundles taken or refused, by outcome.", "outcome"
        )
        self.model_memory_bytes = self._gauge(
            "stt_model_memory_bytes", "Growth of resident memory as the model loaded.", "model"
        )
        self.peak_memory_bytes = self._gauge(
            "stt_peak_memory_bytes", "Largest resident memory of this process so far."
        )
        self.peak_memory_bytes.set_function(memory.peak_bytes)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(name, text, labels, registry=self.registry)

    def _histogram(
        self, name: str, text: str, buckets: tuple[float, ...], *labels: str
    ) -> Histogram:
        return Histogram(name, text, labels, buckets=buckets, registry=self.registry)
