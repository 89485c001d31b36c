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
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A process that serves the packaged bundle, in larger batches than a CPU is given."""
    settings = {"STT_MAX_BATCH_S": "30", "STT_JOBS_DIR": str(tmp_path_factory.mktemp("jobs"))}
    with serving(PACKAGED_BUNDLE, STT_SESSIONS="1", **settings) as client:
        yield Server(client)
