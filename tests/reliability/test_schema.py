"""schemathesis over the OpenAPI document: no answer is a fault, or other than what it says."""

import subprocess
import sys

import pytest
from tiny_bundle import make_bundle
from watched_server import watched

from tests.reliability.amounts import EXAMPLES, SEED

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
)
MINUTES = 30


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = make_bundle(tmp_path_factory.mktemp("bundles") / "tiny")
    jobs = str(tmp_path_factory.mktemp("jobs"))
    with watched(folder, STT_JOBS_DIR=jobs) as started:
        yield started


def test_every_operation_keeps_to_the_document(server):
    url = f"{server.client.base_url}/openapi.json".replace("//openapi", "/openapi")
    command = ["schemathesis.cli", "run", url, "--checks", ",".join(CHECKS), "--seed", str(SEED)]
    # One worker: hypothesis parses code, which CPython 3.11 gets wrong in several threads.
    options = ["--max-examples", str(EXAMPLES), "--no-color", "--workers", "1"]
    done = subprocess.run(
        [sys.executable, "-m", *command, *options],
        capture_output=True,
        text=True,
        timeout=MINUTES * 60,
        check=False,
    )
    print(done.stdout[-2500:])
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2000:]
    assert not server.faults()
