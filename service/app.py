"""The ASGI application: everything is made elsewhere and put together here."""

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline
from starlette.middleware.cors import CORSMiddleware

from service.access.guard import Guard
from service.config import Settings
from service.errors import InvalidBundle
from service.lifecycle import Service, State
from service.protocols.asyncapi import ADDRESS
from service.routes import (
    admin,
    asyncapi,
    deepgram,
    health,
    jobs,
    openai,
    page,
    rest,
    vosk,
    websocket,
)
from service.routes.access import AccessControl, Door
from service.routes.documentation import tell_of_keys
from service.routes.errors import add_error_handlers
from service.routes.middleware import REQUEST_ID_HEADER, TRACE_PARENT_HEADER, RequestContext
from service.routes.slow_clients import PatientBodies

CORS: dict[str, Any] = {
    "allow_methods": ["GET", "POST", "DELETE"],
    "allow_headers": ["Authorization", REQUEST_ID_HEADER, TRACE_PARENT_HEADER],
    "expose_headers": [REQUEST_ID_HEADER, "Location", "Retry-After", "RateLimit"],
}

logger = logging.getLogger(__name__)


def create_app(
    settings: Settings, *, stop: Callable[[], None] | None = None, with_jobs: bool = True
) -> FastAPI:
    """Wire the service for one bundle.

    Args:
        settings: how it runs.
        stop: ends the server around the application. With it the application answers SIGTERM and
            SIGINT itself: it drains, still telling clients so, and then stops. It also stops if
            the bundle cannot be loaded, with `State.FAILED` left in `app.state.service`.
        with_jobs: whether there are jobs; not where processes share an address, since a job is
            known only to the one that took it.
    """
    service = Service(settings, with_jobs=with_jobs)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        loading = asyncio.create_task(_load(service, stop))
        if stop is not None:
            _answer_signals(service, stop)
        yield
        loading.cancel()
        await service.drain()

    app = FastAPIOffline(
        title="wsm-stt",
        description=f"Speech to text; over WebSockets: [{ADDRESS}]({ADDRESS}).",
        version=version(health.DISTRIBUTION),
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.service = service
    guard = Guard(settings.api_keys_file, metrics_are_open=settings.open_metrics)
    door = Door(guard, service.metrics, hosts=settings.hosts, origins=settings.cors_origins)
    app.state.door = door
    app.include_router(rest.router)
    app.include_router(openai.router)
    if with_jobs:
        app.include_router(jobs.router)
    others = (websocket, deepgram, vosk, asyncapi, health, admin, page)
    for module in others:
        app.include_router(module.router)
    add_error_handlers(app)
    endpoints = list(app.openapi()["paths"])
    if guard.asks_for_keys:
        tell_of_keys(app.openapi())
    app.add_middleware(PatientBodies, stall_s=settings.upload_stall_s)
    app.add_middleware(AccessControl, door=door)
    if settings.cors_origins:
        app.add_middleware(CORSMiddleware, allow_origins=settings.cors_origins, **CORS)
    app.add_middleware(
        RequestContext, metrics=service.metrics, tracer=service.tracer, endpoints=endpoints
    )
    return app


async def _load(service: Service, stop: Callable[[], None] | None) -> None:
    try:
        await service.start()
    except InvalidBundle as error:
        logger.critical("%s", error.message)
        if stop is not None:
            stop()


def _answer_signals(service: Service, stop: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()
    draining: list[asyncio.Task[None]] = []

    async def drain() -> None:
        await service.drain()
        stop()

    def answer() -> None:
        if service.state is State.DRAINING:
            stop()
        else:
            draining.append(loop.create_task(drain()))

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, answer)
