"""What `/openapi.json` tells of keys, where they are asked for."""

from typing import Any

from service.errors import Forbidden, RateLimited, ServiceError, Unauthorized
from service.routes.access import role_of

SCHEME = "key"
ERRORS: tuple[type[ServiceError], ...] = (Unauthorized, Forbidden, RateLimited)


def tell_of_keys(document: dict[str, Any]) -> None:
    """Add the scheme, and to what needs a key that it does, and how it is refused.

    Args:
        document: OpenAPI's, with the schema `ErrorBody`; changed in place.
    """
    document["components"]["securitySchemes"] = {SCHEME: {"type": "http", "scheme": "bearer"}}
    for path, operations in document["paths"].items():
        if role_of(path) is None:
            continue
        for operation in operations.values():
            operation["security"] = [{SCHEME: []}]
            for error in ERRORS:
                operation["responses"].setdefault(str(error.status), _response(error))


def _response(error: type[ServiceError]) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/ErrorBody"}
    return {
        "description": f"Code {error.code}",
        "content": {"application/json": {"schema": schema}},
    }
