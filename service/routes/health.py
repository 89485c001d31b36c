"""For orchestrators and dashboards; answered by the event loop alone, so under full load too."""

from importlib.metadata import version

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from service.errors import NotReady
from service.lifecycle import Service
from service.loading import Parts
from service.routes.errors import error_responses
from service.schemas import HealthBody, ModelBody, OfferBody, VersionBody

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
    """Which release runs, and which models."""
    service: Service = request.app.state.service
    default = service.models.default
    return VersionBody(
        version=version(DISTRIBUTION),
        model=None if default is None else _model(default.parts),
        models=tuple(
            OfferBody(
                name=entry.offer.name,
                languages=entry.offer.languages,
                is_loaded=entry.model is not None,
            )
            for entry in service.models.entries.values()
        ),
    )


@router.get(
    "/metrics", response_class=Response, responses={200: {"content": {CONTENT_TYPE_LATEST: {}}}}
)
async def metrics(request: Request) -> Response:
    """Counters and measurements in Prometheus's text format."""
    service: Service = request.app.state.service
    return Response(generate_latest(service.metrics.registry), media_type=CONTENT_TYPE_LATEST)


def _model(parts: Parts) -> ModelBody:
    manifest, loaded = parts.bundle.manifest, parts.loaded
    return ModelBody(
        name=manifest.name,
        languages=manifest.languages,
        file=loaded.variant.file,
        runtime=loaded.variant.runtime,
        precision=loaded.variant.precision,
        device=loaded.device,
        decoding=parts.reader.default,
        decodings=parts.reader.decodings,
    )
