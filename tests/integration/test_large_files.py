"""Large uploads and long recordings, over real sockets."""

import os
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from audio_files import wav
from patience import PATIENCE_S
from server_process import connected, process, serving, wait_for_readiness
from tiny_bundle import RATE_HZ, make_bundle, speak

from service.uploads import SPOOL_BYTES

HEAD = (
    b"POST /transcribe HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\n"
    b"Content-Type: multipart/form-data; boundary=x\r\n\r\n"
    b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\n'
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_bundle(tmp_path_factory.mktemp("bundles") / "tiny")


def files_in(folder, process_id):
    """Files that a process holds open in a folder, unnamed ones too."""
    targets = []
    for link in Path(f"/proc/{process_id}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed since it was listed
            targets.append(os.readlink(link))
    return [target for target in targets if target.startswith(str(folder))]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
def test_nothing_stays_on_disk_of_a_client_that_vanishes(folder, tmp_path):
    with process(folder, TMPDIR=str(tmp_path)) as server, connected(server) as client:
        wait_for_readiness(client, 200)
        client.post(
            "/transcribe", files={"file": bytes(2 * SPOOL_BYTES)}
        )  # tempfile tries the folder
        at_first = os.listdir(tmp_path)
        address = (client.base_url.host, client.base_url.port)
        with socket.create_connection(address, timeout=PATIENCE_S) as connection:
            connection.sendall(HEAD + bytes(2 * SPOOL_BYTES))
            while not files_in(tmp_path, server.pid):
                assert client.get("/health/live").status_code == 200
            assert os.listdir(tmp_path) == at_first  # so even a kill of the server leaves nothing
        while files_in(tmp_path, server.pid):
            assert client.get("/health/live").status_code == 200
        for content, status in [(bytes(2 * SPOOL_BYTES), 415), (wav(speak("a" * 500)), 200)]:
            assert len(content) > SPOOL_BYTES
            assert client.post("/transcribe", files={"file": content}).status_code == status
            assert files_in(tmp_path, server.pid) == []


def test_the_server_answers_while_it_decodes(folder):
    two_minutes = wav(np.zeros(120 * RATE_HZ, np.int16), container="FLAC")
    with serving(folder) as client, ThreadPoolExecutor(8) as threads:
        decoding = [
            threads.submit(client.post, "/transcribe", files={"file": two_minutes})
            for _ in range(8)
        ]
        answers = 0
        while not all(one.done() for one in decoding):
            assert client.get("/health/live").status_code == 200
            answers += 1
        assert [one.result().status_code for one in decoding] == [200] * 8
        assert answers > 2 * len(decoding)  # not just between one file and the next
