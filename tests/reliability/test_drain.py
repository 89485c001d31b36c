"""SIGTERM under load, `DRAINS` times: nothing accepted is lost, and all others know why."""

import asyncio
import json
import signal
from collections import Counter

import httpx
import pytest
import websockets
from audio_files import wav
from patience import PATIENCE_S
from socket_client import pcm
from tiny_bundle import make_bundle, speak
from watched_server import watched

from tests.reliability.amounts import DRAINS

WORDS = "good morning " * 20
FILE, TEXT = wav(speak(WORDS)), WORDS.strip()
SAID = "so far so good"
CLIENTS, STREAMS, JOBS, HALF_SENT = 6, 3, 2, 2
WARM_UP = 20  # answers before the signal
GRACE_S = 20
NO_KEEP_ALIVE = httpx.Limits(max_keepalive_connections=0)
PART = b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\n'
BODY = PART + FILE + b"\r\n--x--\r\n"
HEAD = (
    "POST /transcribe HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    "Content-Type: multipart/form-data; boundary=x\r\n"
    f"Content-Length: {len(BODY)}\r\nExpect: 100-continue\r\n\r\n"
).encode()


class Crowd:
    """Clients that ask until they are refused, and what each of them was told."""

    def __init__(self, server):
        self.server = server
        self.url = server.client.base_url
        self.told = Counter()
        self.warm = asyncio.Semaphore(0)

    async def ask(self, http):
        """Again and again; a connection that breaks while an answer is due is a loss."""
        while True:
            try:
                answer = await http.post("/transcribe", files={"file": FILE})
            except httpx.ConnectError:
                self.told["nobody listens"] += 1
                return
            if answer.status_code != 200:
                self.told[refusal_of(answer)] += 1
                return
            assert answer.json()["text"] == TEXT
            self.told["text"] += 1
            self.warm.release()

    async def half_sent(self):
        """An upload that was let in, and is sent to its end after the signal."""
        reader, writer = await asyncio.open_connection(self.url.host, self.url.port)
        writer.write(HEAD)
        assert b"100 Continue" in await reader.readuntil(b"\r\n\r\n")
        writer.write(BODY[:5000])
        return reader, writer

    async def finish(self, reader, writer):
        writer.write(BODY[5000:])
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        assert b" 200 " in head
        assert json.loads(body)["text"] == TEXT
        self.told["text of an upload under way"] += 1
        writer.close()

    async def speak(self, has_spoken):
        """Says something, and waits to be told what was heard, and why it is over."""
        url = f"ws://{self.url.host}:{self.url.port}/ws/transcribe"
        async with websockets.connect(url, proxy=None) as socket:
            await socket.send('{"type": "start", "encoding": "pcm_s16le"}')
            await socket.send(pcm(speak(SAID)))
            has_spoken.release()
            messages = []
            try:
                async for message in socket:
                    messages.append(json.loads(message))
            except websockets.ConnectionClosedError:
                pass
        finals = [message["text"] for message in messages if message["type"] == "final"]
        assert finals == [SAID]
        assert messages[-1]["type"] == "error"
        assert messages[-1]["code"] == "not_ready"
        assert socket.close_code == 1013
        self.told["text of a stream, then 1013"] += 1

    async def watch_readiness(self, http):
        """It drops while the process still answers."""
        status = 200
        while status == 200:
            await asyncio.sleep(0.01)
            status = (await http.get("/health/ready")).status_code
        assert (await http.get("/health/live")).status_code == 200
        self.told["not ready any more"] += 1


def refusal_of(answer):
    assert answer.status_code == 503, answer.text
    assert answer.json()["error"]["code"] == "not_ready"
    assert int(answer.headers["Retry-After"]) > 0
    return "503"


async def drain(server):
    """The signal under load, and everything that clients were told.

    Returns: addresses of the jobs that were accepted, and the counts.
    """
    crowd = Crowd(server)
    has_spoken = asyncio.Semaphore(0)
    async with httpx.AsyncClient(
        base_url=crowd.url, limits=NO_KEEP_ALIVE, timeout=PATIENCE_S
    ) as http:
        asking = [asyncio.create_task(crowd.ask(http)) for _ in range(CLIENTS)]
        speaking = [asyncio.create_task(crowd.speak(has_spoken)) for _ in range(STREAMS)]
        for _ in range(STREAMS):
            await has_spoken.acquire()
        for _ in range(WARM_UP):
            await crowd.warm.acquire()
        uploads = [await crowd.half_sent() for _ in range(HALF_SENT)]
        jobs = [await http.post("/jobs", files={"file": FILE}) for _ in range(JOBS)]
        watching = asyncio.create_task(crowd.watch_readiness(http))
        server.running.send_signal(signal.SIGTERM)
        await watching
        await asyncio.gather(*asking, *speaking, *(crowd.finish(*one) for one in uploads))
    assert await asyncio.to_thread(server.running.wait, GRACE_S) == 0
    assert [job.status_code for job in jobs] == [202] * JOBS
    return [job.headers["location"] for job in jobs], crowd.told


async def kept(server, jobs):
    """Whether jobs of the process before come to their end in this one."""
    async with httpx.AsyncClient(base_url=server.client.base_url, timeout=PATIENCE_S) as http:
        for job in jobs:
            body = {"status": "queued"}
            while body["status"] in ("queued", "running"):
                await asyncio.sleep(0.02)
                body = (await http.get(job)).json()
            assert body["result"]["text"] == TEXT


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_bundle(tmp_path_factory.mktemp("bundles") / "tiny")


async def test_nothing_accepted_is_lost(folder, tmp_path):
    told, jobs = Counter(), []
    settings = {"STT_JOBS_DIR": str(tmp_path / "jobs"), "STT_SHUTDOWN_GRACE_S": str(GRACE_S)}
    for number in range(DRAINS):
        with watched(folder, **settings) as server:
            await kept(server, jobs)
            jobs, now_told = await drain(server)
            assert not server.faults()
        told += now_told
        print(f"drain {number + 1}: {dict(now_told)}", flush=True)
    with watched(folder, **settings) as server:
        await kept(server, jobs)
    print(f"\n{DRAINS} times SIGTERM under load: {dict(told)}, jobs kept {DRAINS * JOBS}; 0 lost")
    assert told["text of an upload under way"] == DRAINS * HALF_SENT
    assert told["text of a stream, then 1013"] == DRAINS * STREAMS
