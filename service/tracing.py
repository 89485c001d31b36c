"""Spans of requests and of their stages, where somebody collects them.

    request -> transcribe -> decode, queue, inference, ctc

They hold durations and small facts, never audio, words or names of files. A batch serves several
requests, so each has an inference span of its own, which tells the batch's size and seconds of
audio: a trace then tells on its own what took long.
The exporter is configured by OpenTelemetry's own variables, OTEL_EXPORTER_OTLP_ENDPOINT first.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from threading import Thread
from typing import TYPE_CHECKING, Protocol

from service.config import InvalidSettings

if TYPE_CHECKING:
    from opentelemetry.trace import Span as OpenTelemetrySpan
    from opentelemetry.trace import Tracer as OpenTelemetryTracer

Fact = str | int | float
EXIT_S = 2.0  # for the last spans, at the end of the process


@dataclass(frozen=True)
class Stage:
    """Work that is over.

    Attributes:
        name: of its span.
        duration_s: how long it took.
        facts: what else the span tells.
    """

    name: str
    duration_s: float
    facts: Mapping[str, Fact] = field(default_factory=dict)


class Span(Protocol):
    """One stretch of work while it goes on."""

    @property
    def trace_id(self) -> str | None:
        """Of the whole request, 32 hexadecimal digits; None where nothing is traced."""

    def set(self, facts: Mapping[str, Fact]) -> None:
        """Add what became known."""

    def fail(self) -> None:
        """Mark it as an error of ours."""


class Tracer(Protocol):
    """Records spans."""

    def request(self, name: str, headers: Mapping[str, str]) -> AbstractContextManager[Span]:
        """A span that continues the caller's trace, if the headers carry one."""

    def span(self, name: str) -> AbstractContextManager[Span]:
        """A span within the current one, or the first of a trace."""

    def stages(self, started_s: float, stages: Sequence[Stage]) -> None:
        """Spans of work that is over, one after the other, within the current one.

        Args:
            started_s: when the first began, on the clock of `time.monotonic`.
            stages: at least one.
        """

    def close(self) -> None:
        """Send what is left, for two seconds at most; blocks."""


class Untraced:
    """Records nothing; a span of itself, too."""

    trace_id = None

    def request(self, name: str, headers: Mapping[str, str]) -> Untraced:
        """Nothing."""
        return self

    def span(self, name: str) -> Untraced:
        """Nothing."""
        return self

    def stages(self, started_s: float, stages: Sequence[Stage]) -> None:
        """Nothing."""

    def set(self, facts: Mapping[str, Fact]) -> None:
        """Nothing."""

    def fail(self) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""

    def __enter__(self) -> Untraced:
        return self

    def __exit__(self, *_: object) -> None:
        return None


def open_tracer(wanted: bool) -> Tracer:
    """A tracer that exports by OTLP over HTTP, or one that does nothing.

    Raises:
        InvalidSettings: it is wanted, and OpenTelemetry is not installed.
    """
    if not wanted:
        return Untraced()
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import SERVICE_NAME, OTELResourceDetector, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise InvalidSettings(
            f"STT_TRACING is set, but {error.name} is not installed; install wsm-stt with the "
            "extra tracing"
        ) from error
    resource = Resource({SERVICE_NAME: "wsm-stt"}).merge(OTELResourceDetector().detect())
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))

    def close() -> None:
        # A collector that does not answer must not keep the process: the exporter tries for longer.
        closing = Thread(target=provider.shutdown, daemon=True)
        closing.start()
        closing.join(EXIT_S)

    return _Traced(provider.get_tracer("service"), close)


class _Traced:
    def __init__(self, tracer: OpenTelemetryTracer, close: Callable[[], None]) -> None:
        self._tracer = tracer
        self.close = close

    @contextmanager
    def request(self, name: str, headers: Mapping[str, str]) -> Iterator[Span]:
        from opentelemetry.trace import SpanKind
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        caller = TraceContextTextMapPropagator().extract(headers)
        with self._tracer.start_as_current_span(
            name, caller, SpanKind.SERVER, record_exception=False
        ) as span:
            yield _TracedSpan(span)

    @contextmanager
    def span(self, name: str) -> Iterator[Span]:
        with self._tracer.start_as_current_span(name, record_exception=False) as span:
            yield _TracedSpan(span)

    def stages(self, started_s: float, stages: Sequence[Stage]) -> None:
        begins_ns = time.time_ns() - int((time.monotonic() - started_s) * 1e9)
        for stage in stages:
            ends_ns = begins_ns + int(stage.duration_s * 1e9)
            span = self._tracer.start_span(stage.name, attributes=stage.facts, start_time=begins_ns)
            span.end(ends_ns)
            begins_ns = ends_ns


class _TracedSpan:
    def __init__(self, span: OpenTelemetrySpan) -> None:
        self._span = span

    @property
    def trace_id(self) -> str | None:
        return f"{self._span.get_span_context().trace_id:032x}"

    def set(self, facts: Mapping[str, Fact]) -> None:
        self._span.set_attributes(facts)

    def fail(self) -> None:
        from opentelemetry.trace import StatusCode

        self._span.set_status(StatusCode.ERROR)
