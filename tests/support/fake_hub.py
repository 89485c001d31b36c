"""A model hub over real sockets: the few endpoints that its client needs to fetch a model."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import unquote, urlsplit


@dataclass
class FakeHub:
    """What the hub holds and what it was asked for.

    Attributes:
        url: where it listens.
        revisions: folder of each (model, revision); the branch `main` is the default.
        gated: models whose files need a log-in; what they are is public.
        failing: answer every request with this status.
        asked: (method, path) of each request.
    """

    url: str = ""
    revisions: dict[tuple[str, str], Path] = field(default_factory=dict)
    gated: set[str] = field(default_factory=set)
    failing: int | None = None
    asked: list[tuple[str, str]] = field(default_factory=list)

    def fetched(self) -> set[str]:
        """Names of the files that were downloaded."""
        return {path.rpartition("/")[2] for method, path in self.asked if "/resolve/" in path}

    def find(self, name: str, revision: str) -> Path | None:
        for (model, known), folder in self.revisions.items():
            if model == name and revision in (known, commit(folder)):
                return folder
        return None

    def knows(self, name: str) -> bool:
        return any(model == name for model, _ in self.revisions)


def commit(folder: Path) -> str:
    """The commit a folder stands for: the same whenever its path is."""
    return hashlib.sha1(str(folder).encode()).hexdigest()


@contextmanager
def running_hub() -> Iterator[FakeHub]:
    hub = FakeHub()
    server = _Server(("127.0.0.1", 0), _Handler)
    server.hub = hub
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Server(ThreadingHTTPServer):
    hub: FakeHub


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.server.hub.asked.append((self.command, path))
        if self.server.hub.failing:
            self._answer(self.server.hub.failing, b"")
        elif path.startswith("/api/models/"):
            self._describe(path.removeprefix("/api/models/"))
        elif "/resolve/" in path:
            self._give(*path.lstrip("/").split("/resolve/"))
        else:
            self._answer(404, b"")

    do_HEAD = do_GET  # noqa: N815  the name is the standard library's

    def _describe(self, path: str) -> None:
        name, kind, revision = path, "revision", "main"
        for word in ("revision", "tree"):
            if f"/{word}/" in path:
                name, _, revision = path.partition(f"/{word}/")
                kind = word
        folder = self._folder(name, revision)
        if folder is None:
            return
        files = sorted(folder.iterdir())
        listing: object = [
            {"type": "file", "path": file.name, "size": file.stat().st_size, "oid": _etag(file)}
            for file in files
        ]
        if kind == "revision":
            siblings = [{"rfilename": file.name} for file in files]
            listing = {"id": name, "sha": commit(folder), "siblings": siblings}
        self._answer(200, json.dumps(listing).encode(), {"Content-Type": "application/json"})

    def _give(self, name: str, rest: str) -> None:
        revision, _, file = rest.partition("/")
        folder = self._folder(name, revision)
        if folder is None:
            return
        if name in self.server.hub.gated:
            self._answer(401, b"", {"X-Error-Code": "GatedRepo"})
        elif not (folder / file).is_file():
            self._answer(404, b"", {"X-Error-Code": "EntryNotFound"})
        else:
            about = {"X-Repo-Commit": commit(folder), "ETag": f'"{_etag(folder / file)}"'}
            self._answer(200, (folder / file).read_bytes(), about)

    def _folder(self, name: str, revision: str) -> Path | None:
        folder = self.server.hub.find(name, revision)
        if folder is None and self.server.hub.knows(name):
            self._answer(404, b"", {"X-Error-Code": "RevisionNotFound"})
        elif folder is None:
            self._answer(401, b"", {"X-Error-Code": "RepoNotFound"})
        return folder

    def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


def _etag(file: Path) -> str:
    return hashlib.sha1(file.read_bytes()).hexdigest()
