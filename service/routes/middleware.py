"""Around every request: its id, its count, its duration, and a line in the log."""

import logging
import re
import time
import uuid
from collections.abc import Collection

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.logs import REQUEST_ID
from service.metrics import Metrics
from service.routes.security import safe_headers
from service.tracing import Span, Tracer, Untraced

REQUEST_ID_HEADER = "X-Request-ID"
TRACE_PARENT_HEADER = "traceparent"  # W3C Trace Context
OTHER_ENDPOINT = "other"
PROBED_ENDPOINTS = ("/health/live", "/health/ready", "/metrics")  # every few seconds, for ever

_ACCEPTED_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
# Version, the trace's id, which is not all zeros, the caller's span, flags.
_TRACE_PARENT = re.compile(r"[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")

logger = logging.getLogger(__name__)


class RequestContext:
    """ASGI middleware; answers carry the client's request id, or a new one, and safe headers.

    Args:
        app: what it surrounds.
        metrics: fed with what concerns requests.
        tracer: of a span for each request, but for probes.
        endpoints: routes' paths that metrics name; all others count as one.
    """

    def __init__(
        self, app: ASGIApp, metrics: Metrics, tracer: Tracer, endpoints: Collection[str]
    ) -> None:
        self._app = app
        self._metrics = metrics
        self._tracer = tracer
        self._endpoints = frozenset(endpoints)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection; the signature is ASGI's."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if scope["path"] in PROBED_ENDPOINTS:
            await self._handle(scope, receive, send, Untraced())
            return
        with self._tracer.request(scope["method"], headers) as span:
            await self._handle(scope, receive, send, span)

    async def _handle(self, scope: Scope, receive: Receive, send: Send, span: Span) -> None:
        request_id = request_id_of(Headers(scope=scope), span.trace_id)
        REQUEST_ID.set(request_id)
        scope.setdefault("state", {})["request_id"] = request_id
        status = 500

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers[REQUEST_ID_HEADER] = request_id
                for name, value in safe_headers(scope["path"]).items():
                    headers.setdefault(name, value)
            await send(message)

        started_s = time.monotonic()
        try:
            await self._app(scope, receive, send_with_id)
        finally:
            self._observe(scope, status, time.monotonic() - started_s, span)

    def _observe(self, scope: Scope, status: int, duration_s: float, span: Span) -> None:
        # A template: /jobs/{id}, never an id; who is turned away at the door has no route yet.
        path = getattr(scope.get("route"), "path", scope["path"])
        endpoint = path if path in self._endpoints else OTHER_ENDPOINT
        self._metrics.requests.labels(endpoint, str(status)).inc()
        self._metrics.request_duration.labels(endpoint).observe(duration_s)
        span.set(
            {
                "http.request.method": scope["method"],
                "http.route": endpoint,
                "http.response.status_code": status,
            }
        )
        if status >= 500:
            span.fail()
        facts = {
            "method": scope["method"],
            "endpoint": endpoint,
            "status": status,
            "duration_s": round(duration_s, 4),
            "request_id": scope["state"]["request_id"],
        }
        level = logging.DEBUG if endpoint in PROBED_ENDPOINTS else logging.INFO
        line = "%(method)s %(endpoint)s %(status)d %(duration_s).3f s %(request_id)s"
        logger.log(level, line, facts, extra=facts)


def request_id_of(headers: Headers, trace_id: str | None = None) -> str:
    """The client's own, or else its trace's, or else that of ours, or else a new one."""
    if _ACCEPTED_ID.fullmatch(given := headers.get(REQUEST_ID_HEADER, "")):
        return given
    trace = _TRACE_PARENT.fullmatch(headers.get(TRACE_PARENT_HEADER, ""))
    return trace[1] if trace else trace_id or uuid.uuid4().hex
