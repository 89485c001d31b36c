"""`GET /asyncapi.json`."""

from functools import cache
from importlib.metadata import version
from typing import Any

from fastapi import APIRouter

from service.protocols.asyncapi import ADDRESS, document
from service.routes.health import DISTRIBUTION

router = APIRouter(tags=["operations"])


@router.get(ADDRESS)
async def describe() -> dict[str, Any]:
    """The WebSocket protocols, as an AsyncAPI 3.0 document."""
    return _document()


@cache
def _document() -> dict[str, Any]:
    return document(version(DISTRIBUTION))
