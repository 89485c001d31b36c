"""In front of every route: who may come in.

What is not named here needs a key that transcribes, so that a new route is closed until somebody
opens it. Sockets are let in by `service.routes.sockets`, which can tell a client why not.
"""

from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket

from service.access.budgets import Budget
from service.access.credentials import from_headers, of_socket
from service.access.guard import Guard
from service.access.keys import Role
from service.admission import Rejection
from service.errors import Forbidden, RateLimited, ServiceError
from service.metrics import Metrics
from service.routes.errors import render

OPEN = ("/", "/health/live", "/health/ready", "/docs", "/openapi.json", "/asyncapi.json")
OPEN_FOLDERS = ("/page/", "/static-offline-docs/")
METRICS = "/metrics"
ADMIN_FOLDER = "/admin/"
ANY = "*"


class Door:
    """Decides on requests and sockets alike.

    Args:
        guard: knows the keys.
        metrics: fed with those who are turned away.
        hosts: names by which the service may be called; empty for any.
        origins: of pages elsewhere that may open sockets.
    """

    def __init__(
        self,
        guard: Guard,
        metrics: Metrics,
        *,
        hosts: Collection[str] = (),
        origins: Collection[str] = (),
    ) -> None:
        self._guard = guard
        self._metrics = metrics
        self._hosts = frozenset(hosts)
        self._origins = frozenset(origins)
        for reason in (Rejection.UNAUTHORIZED, Rejection.FORBIDDEN, Rejection.RATE_LIMITED):
            metrics.rejected.labels(reason)

    def let_in_request(self, scope: Scope) -> Budget | None:
        """What a request may use; None where nobody asks who it is.

        Raises:
            Forbidden: it calls the service by a name that is not its own, or the key is for others.
            Unauthorized: it needs a key.
        """
        headers = Headers(scope=scope)
        self._check_host(headers)
        role = role_of(scope["path"])
        return None if role is None else self._guard.let_in(from_headers(headers), role)

    @contextmanager
    def stream(self, websocket: WebSocket) -> Iterator[Budget]:
        """Let a stream in, and hold its place among those of its key.

        Raises:
            Forbidden: as above; or a page of another origin opens it.
            Unauthorized: it needs a key.
            RateLimited: the key has used what it may.
        """
        with ExitStack() as stack:
            try:
                self._check_host(websocket.headers)
                self._check_origin(websocket.headers)
                budget = self._guard.let_in(_secret_of(websocket), Role.TRANSCRIBE)
                stack.enter_context(budget.stream())
                budget.check()
            except ServiceError as error:
                self.count(error)
                raise
            yield budget

    def count(self, error: ServiceError) -> None:
        """Count one who is turned away."""
        if isinstance(error, RateLimited):
            reason = Rejection.RATE_LIMITED
        elif isinstance(error, Forbidden):
            reason = Rejection.FORBIDDEN
        else:
            reason = Rejection.UNAUTHORIZED
        self._metrics.rejected.labels(reason).inc()

    def _check_host(self, headers: Headers) -> None:
        """Pages elsewhere reach a service in the browser's network by names that they own."""
        host = headers.get("host", "")
        if self._hosts and not self._hosts & {_name_of(host), ANY}:
            raise Forbidden(
                f"this service is not called {host!r}: add the name to STT_ALLOWED_HOSTS",
                found=host,
                limit=sorted(self._hosts),
            )

    def _check_origin(self, headers: Headers) -> None:
        """Browsers let any page open a socket to anywhere, and tell whose page it is."""
        origin = headers.get("origin")
        if origin is None or self._origins & {origin, ANY}:
            return
        if origin.partition("://")[2] != headers.get("host", ""):
            raise Forbidden(
                f"pages of {origin} may not open streams here: add it to STT_CORS_ORIGINS",
                found=origin,
                limit=sorted(self._origins),
            )


class AccessControl:
    """ASGI middleware; answers tell what their key has left.

    Args:
        app: what it surrounds.
        door: decides.
    """

    def __init__(self, app: ASGIApp, door: Door) -> None:
        self._app = app
        self._door = door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection; the signature is ASGI's."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        budget: Budget | None = None

        async def send_with_budget(message: Message) -> None:
            if message["type"] == "http.response.start" and budget is not None:
                MutableHeaders(scope=message).update(budget.headers())
            await send(message)

        try:
            budget = self._door.let_in_request(scope)
            if budget is not None:
                budget.check()
        except ServiceError as error:
            self._door.count(error)
            response = await render(Request(scope), error)
            await response(scope, receive, send_with_budget)
            return
        scope["state"]["budget"] = budget
        await self._app(scope, receive, send_with_budget)


def role_of(path: str) -> Role | None:
    """What a key must be for, to open this path; None if it is open to everybody."""
    if path in OPEN or path.startswith(OPEN_FOLDERS):
        return None
    if path == METRICS:
        return Role.METRICS
    return Role.ADMIN if path.startswith(ADMIN_FOLDER) else Role.TRANSCRIBE


def _secret_of(websocket: WebSocket) -> str | None:
    subprotocols = websocket.scope.get("subprotocols", ())
    return of_socket(websocket.headers, subprotocols, websocket.query_params)


def _name_of(host: str) -> str:
    """A Host header without its port; empty if it is not one."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
