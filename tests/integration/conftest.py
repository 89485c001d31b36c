from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from server_process import serving

from service.config import PACKAGED_BUNDLE


@dataclass(frozen=True)
class Server:
    """A running server, as its clients see it."""

    client: httpx.Client

    def transcribe(self, content: bytes, name: str = "audio") -> dict[str, Any]:
        answer = self.client.post("/transcribe", files={"file": (name, content)})
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """A process that serves the packaged bundle."""
    with serving(PACKAGED_BUNDLE) as client:
        yield Server(client)
