"""One request to a server: `POST /transcribe`, the file read as it is sent; blocking."""

import json
import uuid
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

CHUNK_BYTES = 64 * 1024


@dataclass(frozen=True)
class Answer:
    """What a server said.

    Attributes:
        status: of HTTP.
        body: JSON; empty if it was none.
        retry_after_s: when it wants to be asked again.
    """

    status: int
    body: Mapping[str, object]
    retry_after_s: float | None = None


@dataclass(frozen=True)
class Server:
    """Where requests go.

    Attributes:
        url: `http://localhost:8000`, with what comes before `/transcribe`.
        api_key: for servers that ask for one.
        timeout_s: longest silence of the server.
        fields: of every form, beside the file.
    """

    url: str
    api_key: str | None = field(repr=False)
    timeout_s: float
    fields: Mapping[str, str]

    def post(self, path: Path) -> Answer:
        """Send a file, and wait for the answer.

        Raises:
            OSError: of the file, if its `filename` is set; else there is no connection.
        """
        boundary = uuid.uuid4().hex
        head, tail = self._around(path.name, boundary)
        with path.open("rb") as file:
            size_bytes = path.stat().st_size + len(head) + len(tail)
            headers = {
                "Content-Type": f"multipart/form-data; boundary={boundary}",
                "Content-Length": str(size_bytes),
            }
            if self.api_key is not None:
                headers["Authorization"] = f"Bearer {self.api_key}"
            return self._exchange(headers, _chunks(head, file, tail))

    def _exchange(self, headers: Mapping[str, str], body: Iterator[bytes]) -> Answer:
        connection = self._connection()
        try:
            with suppress(BrokenPipeError):  # it has refused before it has read all, and says why
                connection.request("POST", self._path(), body, dict(headers))
            return _read(connection.getresponse())
        except HTTPException as error:
            raise ConnectionError(f"the answer breaks off: {error!r}") from error
        finally:
            connection.close()

    def _connection(self) -> HTTPConnection:
        parts = urlsplit(self.url)
        kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        assert parts.hostname is not None, "checked where it was read"
        return kind(parts.hostname, parts.port, timeout=self.timeout_s)

    def _path(self) -> str:
        return f"{urlsplit(self.url).path.rstrip('/')}/transcribe"

    def _around(self, name: str, boundary: str) -> tuple[bytes, bytes]:
        """The form before and behind the file."""
        parts = [
            f'--{boundary}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'
            for key, value in self.fields.items()
        ]
        quoted = name.replace("\\", "_").replace('"', "_").replace("\r", "_").replace("\n", "_")
        disposition = f'form-data; name="file"; filename="{quoted}"'
        parts.append(f"--{boundary}\r\nContent-Disposition: {disposition}\r\n\r\n")
        head = "".join(parts).encode(errors="replace")
        return head, f"\r\n--{boundary}--\r\n".encode()


def _chunks(head: bytes, file: IO[bytes], tail: bytes) -> Iterator[bytes]:
    yield head
    while chunk := file.read(CHUNK_BYTES):
        yield chunk
    yield tail


def _read(response: HTTPResponse) -> Answer:
    content = response.read()
    try:
        body = json.loads(content)
    except ValueError:
        body = {}
    return Answer(response.status, body if isinstance(body, dict) else {}, _retry_after_s(response))


def _retry_after_s(response: HTTPResponse) -> float | None:
    told = response.headers.get("Retry-After", "")
    return float(told) if told.isdecimal() else None
