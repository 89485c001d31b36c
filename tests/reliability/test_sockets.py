"""Conversations over WebSockets that make no sense: each ends, nothing breaks, nothing stays."""

import asyncio
import json
import random
import socket
from collections import Counter

import pytest
import websockets
from socket_client import pcm, streaming
from tiny_bundle import make_bundle, speak
from watched_server import watched

from tests.reliability.amounts import SEED, SOCKETS
from tests.reliability.test_uploads import GROWTH

ANSWER_S = 60  # no conversation takes longer
AT_ONCE = 8
PATHS = ("/ws/transcribe", "/v1/listen", "/vosk")
QUERIES = (
    "",
    "?encoding=linear16&sample_rate=16000",
    "?encoding=opus&sample_rate=0&channels=-1",
    "?endpointing=nan&utterance_end_ms=1e309&keyterm=%00",
    "?" + "a=b&" * 500,
)
SPEECH = pcm(speak("so far so good"))
STARTS = (
    {"type": "start", "encoding": "pcm_s16le"},
    {"type": "start", "encoding": "f32le", "sample_rate": 8000, "channels": 2},
    {"type": "start", "encoding": "container"},
    {"type": "start", "encoding": 7, "sample_rate": "many", "channels": None},
    {"type": "start", "encoding": "pcm_s16le", "sample_rate": 10**30},
    {"type": "start", "encoding": "pcm_s16le", "sample_rate": 2**31, "channels": 2**31},
    {"config": {"sample_rate": 8000}},
    {"config": {"sample_rate": "x", "words": [], "phrase_list": {"a": 1}}},
)
WORDS = (
    *({"type": kind} for kind in ("finalize", "keepalive", "stop", "Finalize", "KeepAlive")),
    *({"type": kind} for kind in ("CloseStream", "start", "", None, 1, [], {})),
    {"eof": 1},
    {"eof": "yes", "reset": 2},
    {},
    [],
    None,
    1e308,
    "stop",
    {"type": "start", "encoding": "pcm_s16le", "hot_words": "x" * 20_000},
)
TEXTS = ("", "{", "[" * 20_000, '{"type": "stop"', "\ud7ff\0", '{"a":' * 5000, "NaN")


def message_of(dice):
    """Something to send: text or bytes, sense or nonsense."""
    kind = dice.random()
    if kind < 0.25:
        return json.dumps(dice.choice(WORDS))
    if kind < 0.35:
        return dice.choice(TEXTS)
    if kind < 0.45:
        return json.dumps(dice.choice(STARTS))
    if kind < 0.5:
        return dice.choice((bytes(3 << 20), "x" * (3 << 20)))  # more than is taken
    if kind < 0.75:
        return SPEECH[: dice.randrange(len(SPEECH) + 1)]
    return dice.randbytes(dice.choice((0, 1, 2, 3, 100, 5000, 200_000)))


async def converse(url, dice):
    """One conversation, and how it ended."""
    async with websockets.connect(url, proxy=None, close_timeout=ANSWER_S) as connected:
        if dice.random() < 0.7:
            await connected.send(json.dumps(dice.choice(STARTS[:3])))
        for _ in range(dice.choice((0, 1, 3, 10))):
            await connected.send(message_of(dice))
            if dice.random() < 0.1:
                await connected.send([SPEECH[:100], b"", SPEECH[100:300]])  # in fragments
            if dice.random() < 0.1:
                await connected.ping()
        await end(connected, dice)
        async for _ in connected:
            pass
    return connected.close_code


async def end(connected, dice):
    """Politely, with nothing said, or with half of the connection gone."""
    kind = dice.random()
    raw = connected.transport.get_extra_info("socket")
    if kind < 0.4:
        for word in ({"type": "stop"}, {"type": "CloseStream"}, {"eof": 1}):
            await connected.send(json.dumps(word))
        if dice.random() < 0.5:
            connected.transport.write_eof()
    elif kind < 0.6:
        connected.transport.write_eof()
    elif kind < 0.7:
        connected.transport.write(dice.randbytes(50))  # no frame at all
    elif kind < 0.8:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        connected.transport.abort()
    else:
        await connected.close(dice.choice((1000, 1001, 3000, 4999)))


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = make_bundle(tmp_path_factory.mktemp("bundles") / "tiny")
    with watched(folder, STT_STREAM_IDLE_S="2") as started:
        yield started


async def test_conversations_without_sense_end_and_leave_nothing(server):
    base = f"ws://{server.client.base_url.host}:{server.client.base_url.port}"
    ends, places, before_bytes = Counter(), asyncio.Semaphore(AT_ONCE), 0

    async def one(number):
        dice = random.Random(SEED * 1_000_000 + number)
        url = base + dice.choice(PATHS) + dice.choice(QUERIES)
        async with places, asyncio.timeout(ANSWER_S):
            try:
                code = await converse(url, dice)
            except websockets.ConnectionClosed as gone:
                code = None if gone.rcvd is None else gone.rcvd.code
            except OSError:
                code = None
            ends[code or "without a close frame"] += 1

    for first in range(0, SOCKETS, 20):
        await asyncio.gather(*(one(first + number) for number in range(20)))
        if first <= SOCKETS / 4:
            before_bytes = await asyncio.to_thread(server.resident_bytes)
    assert await asyncio.to_thread(server.settles, "stt_active_streams", 0)
    after_bytes = await asyncio.to_thread(server.resident_bytes)
    print(
        f"\n{ends.total()} conversations, by how they ended: {dict(ends)}; memory after a quarter "
        f"{before_bytes / 1e6:.0f}, at the end {after_bytes / 1e6:.0f} MB"
    )
    assert not server.faults()
    assert not [line for line in server.log if "internal_server_error" in line]
    assert after_bytes < before_bytes * GROWTH
    async with streaming(server.client) as client:
        await client.begin()
        await client.send(SPEECH)
        await client.say("stop")
        assert (await client.until("final"))["text"] == "so far so good"
