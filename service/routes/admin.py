"""`/admin`: for operators; `service.routes.access` lets only their keys in, and nobody without."""

from fastapi import APIRouter, Request

from service.errors import Forbidden, NotReady, Unauthorized
from service.lifecycle import Service
from service.routes.errors import error_responses
from service.schemas import ChangeBody, ReloadBody

router = APIRouter(prefix="/admin", tags=["operations"])


@router.post("/reload", responses=error_responses(Unauthorized, Forbidden, NotReady))
async def reload(request: Request) -> ReloadBody:
    """Look into the folders of the bundles now, and answer when what is new is loaded.

    It is taken as it is: nobody may be copying any more. What is broken changes nothing, and is
    told.
    """
    service: Service = request.app.state.service
    service.ready()
    changes = await service.renewal.look()
    return ReloadBody(changes=tuple(map(ChangeBody.model_validate, changes)))
