"""`WS /ws/transcribe` of a server process, on a real socket, with the tiny bundle."""

import asyncio
import json
import signal
import socket

import pytest
from patience import PATIENCE_S
from server_process import connected, process, serving, wait_for_readiness
from socket_client import of_type, pcm, silence, streaming
from tiny_bundle import make_bundle, make_streaming_bundle, speak, speak_to_graph

from service.protocols.asyncapi import document

SETTINGS = {"STT_MAX_STREAMS": "3", "STT_MAX_MESSAGE_BYTES": "100000"}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundles")
    return {
        "windowed": make_bundle(folder / "windowed"),
        "incremental": make_streaming_bundle(folder / "incremental"),
    }


@pytest.fixture(scope="module")
def servers(folders):
    with (
        serving(folders["windowed"], **SETTINGS) as windowed,
        serving(folders["incremental"], **SETTINGS) as incremental,
    ):
        yield {"windowed": (windowed, speak), "incremental": (incremental, speak_to_graph)}


@pytest.fixture(params=["windowed", "incremental"])
def kind(request):
    return request.param


@pytest.fixture
def server(servers, kind):
    return servers[kind][0]


@pytest.fixture
def say(servers, kind):
    return servers[kind][1]


def sample(client, name):
    line = next(line for line in client.get("/metrics").text.splitlines() if line.startswith(name))
    return float(line.split()[-1])


async def test_a_stream_from_start_to_done(server, say, kind):
    finals_before = sample(server, "stt_stream_final_latency_seconds_count")
    async with streaming(server) as client:
        ready = await client.begin(language="en")
        latency_ms = {"windowed": 500, "incremental": 165}[kind]
        assert ready == {"type": "ready", "kind": kind, "latency_ms": latency_ms}
        assert sample(server, "stt_active_streams") == 1
        await client.send(pcm(say("good morning")))
        await client.send(pcm(silence(1)))
        final = await client.until("final")
        assert final["text"] == "good morning"
        assert [word["word"] for word in final["words"]] == ["good", "morning"]
        assert final["start_s"] == 0
        await client.say("keepalive")
        await client.send(pcm(say("how are you")))
        await client.say("finalize")
        assert (await client.until("final"))["text"] == "how are you"
        await client.send(pcm(say("bye")))
        await client.say("stop")
        messages = await client.rest()
    assert of_type(messages, "final")[0]["text"] == "bye"
    assert messages[-1] == {"type": "done"}
    assert client.close_code == 1000
    counted = 'stt_requests_total{endpoint="/ws/transcribe",status="1000"}'
    while not sample(server, counted):
        pass
    assert sample(server, "stt_stream_final_latency_seconds_count") == finals_before + 3
    assert sample(server, "stt_stream_partial_latency_seconds_count") > 0
    assert sample(server, "stt_stream_lag_seconds") == 0
    while sample(server, "stt_active_streams"):
        pass


def test_the_protocols_are_served_as_asyncapi(server):
    served = server.get("/asyncapi.json").json()
    assert served == document(server.get("/version").json()["version"])


async def test_partials_come_while_the_utterance_lasts_unless_they_are_not_wanted(server, say):
    for interim in (True, False):
        async with streaming(server) as client:
            await client.begin(interim=interim)
            await client.send(pcm(say("good morning dear listeners")))
            if interim:
                partial = await client.until("partial")
                assert "good morning dear listeners".startswith(
                    partial["text"][: partial["stable_chars"]]
                )
            await client.say("stop")
            messages = await client.rest()
        assert interim or not of_type(messages, "partial")
        assert of_type(messages, "final")[0]["text"] == "good morning dear listeners"


@pytest.mark.parametrize("rate_hz", [16_000, 32_000])
async def test_other_rates_channels_and_encodings_say_the_same(server, say, rate_hz):
    wave = say("good morning").repeat(rate_hz // 16_000).repeat(2).astype("<f4")
    async with streaming(server) as client:
        await client.begin("f32le", sample_rate=rate_hz, channels=2)
        await client.send(wave.tobytes(), piece_bytes=999)
        await client.say("stop")
        (final,) = of_type(await client.rest(), "final")
    assert final["text"] == "good morning"


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("not json", "invalid_request"),
        ('{"type": "begin"}', "invalid_request"),
        ('{"type": "finalize"}', "must be start"),
        (b"audio", "must be start"),
        ('{"type": "start", "encoding": "mp3"}', "encoding"),
        ('{"type": "start", "encoding": "pcm_s16le", "sample_rate": 0}', "sample_rate"),
        ('{"type": "start", "encoding": "pcm_s16le", "sample_rate": 1000}', "unsupported_audio"),
        ('{"type": "start", "encoding": "pcm_s16le", "channels": 99}', "unsupported_audio"),
        ('{"type": "start", "encoding": "pcm_s16le", "language": "xx"}', "'xx' is not served"),
        ('{"type": "start", "encoding": "pcm_s16le", "model": "/etc"}', "'/etc' is not served"),
        ('{"type": "start", "encoding": "pcm_s16le", "hot_words": "a"}', "no language model"),
    ],
)
async def test_what_is_no_beginning_is_an_error_and_1008(server, message, told):
    async with streaming(server) as client:
        await client.socket.send(message)
        (error,) = await client.rest()
    assert error["type"] == "error"
    assert told in json.dumps(error)
    assert client.close_code == 1008
    assert client.socket.close_reason == error["code"]


@pytest.mark.parametrize("message", ["{", '{"type": "start", "encoding": "f32le"}'])
async def test_a_wrong_message_in_the_middle_comes_behind_the_text(server, say, message):
    async with streaming(server) as client:
        await client.begin(interim=False)
        await client.send(pcm(say("good")))
        await client.socket.send(message)
        final, error = await client.rest()
    assert (final["text"], error["code"]) == ("good", "invalid_request")
    assert client.close_code == 1008


async def test_damaged_containers_and_samples_are_errors(server):
    for encoding, data in (("container", b"no audio at all " * 5000), ("f32le", b"\xff" * 400)):
        async with streaming(server) as client:
            await client.begin(encoding)
            await client.send(data)
            (error,) = await client.rest()
        assert (error["code"], client.close_code) == ("unsupported_audio", 1008)


async def test_a_message_that_is_too_big_closes_with_1009(server):
    async with streaming(server) as client:
        await client.begin()
        await client.socket.send(bytes(200_000))
        assert await client.rest() == []
    assert client.close_code == 1009


async def test_too_many_streams_are_told_to_come_back(server):
    async with streaming(server) as one, streaming(server) as two, streaming(server) as three:
        for client in (one, two, three):
            await client.begin()
        async with streaming(server) as fourth:
            (error,) = await fourth.rest()
        assert (error["code"], fourth.close_code) == ("overloaded", 1013)
        await one.say("stop")
        await one.rest()
        async with streaming(server) as again:
            assert (await again.begin())["type"] == "ready"


async def test_a_client_that_vanishes_leaves_its_place(server, say):
    async with streaming(server) as client:
        await client.begin()
        await client.send(pcm(say("good")))
        client.socket.transport.abort()
    while sample(server, "stt_active_streams"):
        pass
    assert server.get("/health/ready").status_code == 200


async def test_a_file_that_is_sent_at_once_is_heard_whole(server, say):
    text = " ".join(["lorem ipsum dolor sit amet"] * 3)
    async with streaming(server) as client:
        await client.begin()
        await client.send(pcm(say(text)), piece_bytes=32_000)
        await client.send(pcm(silence(60)), piece_bytes=32_000)
        await client.send(pcm(say(text)), piece_bytes=32_000)
        await client.say("stop")
        messages = await client.rest()
    assert [final["text"] for final in of_type(messages, "final")] == [text, text]


async def test_silence_of_the_client_is_survived_with_keepalives_and_ends_without(folders):
    settings = {"STT_STREAM_IDLE_S": "1", "STT_PING_INTERVAL_S": "0.1"}
    with serving(folders["windowed"], **settings) as server:
        async with streaming(server, ping_interval=None) as client:
            await client.begin()
            for _ in range(4):
                await asyncio.sleep(0.3)  # longer in all than what ends the stream
                await client.say("keepalive")
            (error,) = await client.rest()
    assert (error["code"], client.close_code) == ("stream_idle", 1011)


def test_who_answers_no_ping_is_closed(folders):
    settings = {"STT_PING_INTERVAL_S": "0.1", "STT_PING_TIMEOUT_S": "0.1"}
    with serving(folders["windowed"], **settings) as server:
        address = (server.base_url.host, server.base_url.port)
        with socket.create_connection(address, timeout=PATIENCE_S) as silent:
            silent.sendall(
                b"GET /ws/transcribe HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"
                b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            )
            with silent.makefile("rb") as received:
                head, _, frames = received.read().partition(b"\r\n\r\n")
        assert b" 101 " in head
        assert frames[0] == 0x89  # a ping
        assert (1011).to_bytes(2, "big") + b"keepalive ping timeout" in frames
        while sample(server, "stt_active_streams"):
            pass


async def test_sigterm_gives_the_text_first_and_closes_with_1013(folders, kind, say):
    with process(folders[kind]) as running, connected(running) as http:
        wait_for_readiness(http, 200)
        async with streaming(http) as client, streaming(http) as silent:
            await client.begin(interim=False)
            await client.send(pcm(say("good morning")))
            await client.say("finalize")
            assert (await client.until("final"))["text"] == "good morning"
            await client.send(pcm(say("how are you")))
            while sample(http, "stt_audio_seconds_total") * 16_000 < len(say("good morning how")):
                pass
            running.send_signal(signal.SIGTERM)
            final, error = await client.rest()
            (told,) = await silent.rest()
        assert "how are you".startswith(final["text"][:3])
        assert (error["code"], client.close_code) == ("not_ready", 1013)
        assert (told["code"], silent.close_code) == ("not_ready", 1013)
        assert await asyncio.to_thread(running.wait, PATIENCE_S) == 0
