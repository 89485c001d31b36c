"""`WS /v1/listen`, by the real `deepgram-sdk`, and by hand where that has no word for it."""

import asyncio
import hashlib
import json

import numpy as np
import pytest
from deepgram import AsyncDeepgramClient
from deepgram.environment import DeepgramClientEnvironment
from recordings import cer, recordings
from server_process import serving
from socket_client import pcm, silence, streaming
from tiny_bundle import make_bundle, speak

# The SDK tells websockets to follow the names of an older release.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    folder = make_bundle(tmp_path_factory.mktemp("bundles") / "tiny")
    with serving(folder, STT_STREAM_IDLE_S="2") as client:
        yield client


def sdk(http):
    url = f"ws://{http.base_url.host}:{http.base_url.port}"
    environment = DeepgramClientEnvironment(
        base=str(http.base_url), production=url, agent=url, agent_rest=url
    )
    client = AsyncDeepgramClient(api_key="any", environment=environment)
    return client.listen.v1


def transcript(message):
    return message.channel.alternatives[0].transcript


async def heard(connection):
    return [message async for message in connection]


async def test_real_speech_through_the_sdk(server):
    clip = next(clip for clip in recordings() if clip.is_human)
    audio = pcm(np.concatenate([clip.waveform(), silence(2)]))
    async with sdk(server.client).connect(
        model="nova-3",
        language="en-US",
        encoding="linear16",
        sample_rate=16000,
        interim_results="true",
        endpointing="500",
        utterance_end_ms="1000",
        vad_events="true",
        punctuate="true",
        smart_format="true",
    ) as connection:
        hearing = asyncio.create_task(heard(connection))
        for first in range(0, len(audio), 8000):
            await connection.send_media(audio[first : first + 8000])
            await connection.send_keep_alive()
        await connection.send_close_stream()
        messages = await hearing
    by_type = {
        kind: [message for message in messages if message.type == kind]
        for kind in ("Results", "SpeechStarted", "UtteranceEnd", "Metadata")
    }
    assert len(messages) == sum(map(len, by_type.values()))
    assert messages[0].type == "SpeechStarted"
    interim = [message for message in by_type["Results"] if not message.is_final]
    (final,) = [message for message in by_type["Results"] if message.is_final]
    assert interim
    assert (final.speech_final, final.from_finalize) == (True, False)
    assert cer(clip.text, transcript(final)) < 0.1
    alternative = final.channel.alternatives[0]
    assert 0.5 < alternative.confidence <= 1
    assert {word.confidence for word in alternative.words} != {0.0, 1.0}
    assert all(0 <= word.start < word.end for word in alternative.words)
    (end,) = by_type["UtteranceEnd"]
    assert end.last_word_end == alternative.words[-1].end
    assert messages[-1].type == "Metadata"
    assert messages[-1].sha256 == hashlib.sha256(audio).hexdigest()
    assert messages[-1].duration == pytest.approx(len(audio) / 32_000, abs=1e-3)
    assert messages[-1].request_id == final.metadata.request_id


async def test_finalize_answers_at_once_and_the_stream_goes_on(tiny):
    async with sdk(tiny).connect(
        model="nova-3", encoding="linear16", sample_rate=16000, endpointing="false"
    ) as connection:
        await connection.send_media(pcm(speak("good morning")))
        await connection.send_media(pcm(silence(2)))
        await connection.send_finalize()
        first = await connection.recv()
        assert transcript(first) == "good morning"
        assert (first.is_final, first.speech_final, first.from_finalize) == (True, False, True)
        await connection.send_finalize()
        empty = await connection.recv()
        assert (transcript(empty), empty.from_finalize) == ("", True)
        await connection.send_media(pcm(speak("bye")))
        await connection.send_close_stream()
        messages = await heard(connection)
    assert [message.type for message in messages] == ["Results", "Metadata"]
    assert (transcript(messages[0]), messages[0].is_final) == ("bye", True)
    assert (messages[0].speech_final, messages[0].from_finalize) == (False, False)


async def test_events_of_the_voice_come_in_order(tiny):
    query = "encoding=linear16&interim_results=true&vad_events=true&utterance_end_ms=1000"
    async with streaming(tiny, f"/v1/listen?{query}") as client:
        await client.send(pcm(silence(0.5)))
        await client.send(pcm(speak("good morning dear listeners")))
        started, interim = await client.next(), await client.next()
        await client.send(pcm(silence(2)))
        await client.say("CloseStream")
        *results, end, metadata = await client.rest()
    assert (started["type"], started["timestamp"]) == ("SpeechStarted", pytest.approx(0.2, abs=0.1))
    results = [interim, *results]
    assert {result["type"] for result in results} == {"Results"}
    assert [result["is_final"] for result in results] == [False] * (len(results) - 1) + [True]
    words = results[-1]["channel"]["alternatives"][0]["words"]
    assert (end["type"], end["last_word_end"]) == ("UtteranceEnd", words[-1]["end"])
    assert metadata["type"] == "Metadata"


async def test_telephone_codes_and_an_empty_message_as_the_end(tiny):
    query = "encoding=mulaw&sample_rate=16000&language=en-GB"
    async with streaming(tiny, f"/v1/listen?{query}") as client:
        levels = (speak("good") * 8159).astype(int)
        await client.send(_mulaw(levels))
        await client.socket.send(b"")
        results, metadata = await client.rest()
    assert results["channel"]["alternatives"][0]["transcript"] == "good"
    assert metadata["type"] == "Metadata"
    assert client.close_code == 1000


async def test_the_request_id_is_in_a_header_and_a_browsers_subprotocol_is_taken(tiny):
    async with streaming(
        tiny, "/v1/listen?encoding=linear16", subprotocols=["token", "key"]
    ) as client:
        assert client.socket.subprotocol == "token"
        request_id = client.socket.response.headers["dg-request-id"]
        await client.socket.send('{"type": "CloseStream"}')
        (metadata,) = await client.rest()
    assert metadata["request_id"] == request_id


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("encoding=speex", "encoding"),
        ("encoding=linear16&sample_rate=fast", "sample_rate"),
        ("encoding=linear16&language=xx", "'xx' is not served"),
        ("encoding=linear16&channels=2&multichannel=true", "multichannel"),
        ("encoding=linear16&keyterm=a", "no language model"),
        ("encoding=linear16&utterance_end_ms=1.5", "utterance_end_ms"),
    ],
)
async def test_what_cannot_be_had_is_an_error_and_1008(tiny, query, told):
    async with streaming(tiny, f"/v1/listen?{query}") as client:
        (error,) = await client.rest()
    assert error["type"] == "Error"
    assert told in error["description"]
    assert client.close_code == 1008


async def test_closing_says_why_in_deepgrams_words(tiny):
    async with streaming(tiny, "/v1/listen") as client:
        await client.send(b"no audio at all " * 5000)
        (error,) = await client.rest()
    assert error["variant"] == "unsupported_audio"
    assert (client.close_code, client.socket.close_reason) == (1008, "DATA-0000")
    async with streaming(tiny, "/v1/listen?encoding=linear16") as client:
        await client.socket.send(json.dumps({"type": "KeepAlive"}))
        (error,) = await client.rest()
    assert (client.close_code, client.socket.close_reason) == (1011, "NET-0001")


def _mulaw(levels):
    """Each level's nearest code."""
    from service.streaming.companding import MULAW

    codes = np.argmin(np.abs(MULAW[np.newaxis] * 8159 - np.unique(levels)[:, np.newaxis]), axis=1)
    return codes[np.searchsorted(np.unique(levels), levels)].astype(np.uint8).tobytes()
