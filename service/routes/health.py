"""For orchestrators and dashboards; answered by the event loop alone, so under full load too."""

from importlib.metadata import version

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from service.errors import NotReady
from service.lifecycle import Service
from service.routes.errors import error_responses
from service.schemas import HealthBody, ModelBody, VersionBody

DISTRIBUTION = "wsm-stt"

router = APIRouter(tags=["operations"])


@router.get("/health/live", responses=error_responses(NotReady))
async def live(request: Request) -> HealthBody:
    """Whether the process answers and can still compute; restart it if not."""
    service: Service = request.app.state.service
    service.check_alive()
    return HealthBody(status="live")


@router.get("/health/ready", responses=error_responses(NotReady))
async def ready(request: Request) -> HealthBody:
    """Whether it takes requests: loaded, self-tested and not draining."""
    service: Service = request.app.state.service
    service.ready()
    return HealthBody(status="ready")


@router.get("/version")
async def what_runs(request: Request) -> VersionBody:
    """Which release runs, and which model."""
    service: Service = request.app.state.service
    model = None
    if service.bundle is not None and service.loaded is not None and service.reader:
        manifest, loaded = service.bundle.manifest, service.loaded
        model = ModelBody(
            name=manifest.name,
            languages=manifest.languages,
            file=loaded.variant.file,
            runtime=loaded.variant.runtime,
            precision=loaded.variant.precision,
            device=loaded.device,
            decoding=service.reader.default,
            decodings=service.reader.decodings,
        )
    return VersionBody(version=version(DISTRIBUTION), model=model)


@router.get(
    "/metrics", response_class=Response, responses={200: {"content": {CONTENT_TYPE_LATEST: {}}}}
)
async def metrics(request: Request) -> Response:
    """Counters and measurements in Prometheus's text format."""
    service: Service = request.app.state.service
    return Response(generate_latest(service.metrics.registry), media_type=CONTENT_TYPE_LATEST)
