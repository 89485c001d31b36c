"""`/`: a page where a person drops a file or speaks, and the files it is made of.

The page keeps to its own origin: its policy lets a browser load and ask nothing else.
"""

import hashlib
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from string import Template

from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException

from service.config import Settings
from service.lifecycle import Service

FOLDER = Path(__file__).parents[1] / "page"
INDEX = "index.html"
CONTENT_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "connect-src": "'self'",  # WebSockets of this origin too
    "media-src": "blob:",
    "img-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
}
HEADERS = {
    "Content-Security-Policy": "; ".join(f"{name} {sources}" for name, sources in POLICY.items()),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
    "Cache-Control": "no-cache",  # kept, but asked about: a new release is seen at once
}
METHODS = ["GET", "HEAD"]

_TAG = re.compile(r'"[^"]*"')

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True)
class PageFile:
    """One file of the page, as it is sent."""

    content: bytes
    content_type: str

    @property
    def tag(self) -> str:
        """The ETag: of other content, another."""
        return f'"{hashlib.sha256(self.content).hexdigest()[:32]}"'


@router.api_route("/", methods=METHODS)
async def page(request: Request) -> Response:
    """The page itself."""
    service: Service = request.app.state.service
    return _answer(request, _index(service.settings))


@router.api_route("/page/{name}", methods=METHODS)
async def part(request: Request) -> Response:
    """A script, style or picture of the page."""
    found = _parts().get(request.path_params["name"])
    if found is None:
        raise HTTPException(404)
    return _answer(request, found)


def _answer(request: Request, file: PageFile) -> Response:
    headers = HEADERS | {"ETag": file.tag}
    known = _TAG.findall(request.headers.get("If-None-Match", ""))
    if file.tag in known:
        return Response(status_code=304, headers=headers)
    return Response(file.content, headers=headers, media_type=file.content_type)


@cache
def _parts() -> dict[str, PageFile]:
    return {
        path.name: PageFile(path.read_bytes(), CONTENT_TYPES[path.suffix])
        for path in FOLDER.iterdir()
        if path.suffix in CONTENT_TYPES and path.name != INDEX
    }


@cache
def _template() -> Template:
    return Template((FOLDER / INDEX).read_text(encoding="utf-8"))


def _index(settings: Settings) -> PageFile:
    """The page, which tells what is too much before it is sent."""
    text = _template().substitute(
        max_upload_bytes=settings.max_upload_bytes, max_audio_s=f"{settings.max_audio_s:g}"
    )
    return PageFile(text.encode(), CONTENT_TYPES[".html"])
