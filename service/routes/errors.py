"""One shape for every error that leaves over HTTP."""

import math
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from service.errors import NotReady, Overloaded, ServiceError, Unauthorized
from service.routes.middleware import REQUEST_ID_HEADER
from service.routes.security import SAFE_HEADERS
from service.schemas import ErrorBody

CLIENT_CLOSED_REQUEST = 499


def add_error_handlers(app: FastAPI) -> None:
    """Render every exception that a route can end with."""
    app.add_exception_handler(ServiceError, render)
    app.add_exception_handler(HTTPException, render)
    app.add_exception_handler(Exception, render)
    app.add_exception_handler(ClientDisconnect, _client_is_gone)


def error_responses(*errors: type[ServiceError]) -> dict[int | str, dict[str, Any]]:
    """OpenAPI entries for a route that can end with these errors."""
    codes: dict[int, list[str]] = {}
    for error in errors:
        codes.setdefault(error.status, []).append(error.code)
    return {
        status: {"model": ErrorBody, "description": "Code " + ", ".join(names)}
        for status, names in sorted(codes.items())
    }


async def render(request: Request, error: Exception) -> Response:
    """The answer that an exception ends with."""
    # Here too, since what nobody planned is rendered outside of all middleware.
    headers = SAFE_HEADERS | {REQUEST_ID_HEADER: request.state.request_id}
    match error:
        case Overloaded() | NotReady():
            headers["Retry-After"] = str(math.ceil(error.retry_after_s))
            status, body = error.status, ErrorBody.of(error)
        case Unauthorized():
            headers["WWW-Authenticate"] = "Bearer"
            status, body = error.status, ErrorBody.of(error)
        case ServiceError():
            status, body = error.status, ErrorBody.of(error)
        case HTTPException():
            headers |= error.headers or {}
            status, body = error.status_code, ErrorBody.of_status(HTTPStatus(error.status_code))
        case _:
            status, body = 500, ErrorBody.of_status(HTTPStatus.INTERNAL_SERVER_ERROR)
    return JSONResponse(body.model_dump(mode="json"), status, headers)


async def _client_is_gone(_: Request, __: Exception) -> Response:
    return Response(status_code=CLIENT_CLOSED_REQUEST)
