"""`WS /vosk`, by a client in lock-step, as vosk-server's own test scripts are."""

import asyncio
import json
import signal

import numpy as np
import pytest
from patience import PATIENCE_S
from recordings import cer, recordings
from server_process import connected, process, serving, wait_for_readiness
from socket_client import pcm, silence, streaming
from tiny_bundle import make_bundle, speak


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_bundle(tmp_path_factory.mktemp("bundles") / "tiny")


@pytest.fixture(scope="module")
def tiny(folder):
    with serving(folder) as client:
        yield client


class LockStep:
    """Sends a message and waits for its one answer."""

    def __init__(self, client):
        self.client = client
        self.socket = client.socket

    async def configure(self, **config):
        await self.socket.send('{ "config" : %s }' % json.dumps(config))  # noqa: UP031  theirs

    async def ask(self, message):
        await self.socket.send(message)
        return await self.client.next()

    async def hear(self, waveform, rate_hz=16_000):
        data, piece_bytes = pcm(waveform), int(rate_hz * 0.2) * 2
        return [
            await self.ask(data[first : first + piece_bytes])
            for first in range(0, len(data), piece_bytes)
        ]

    async def closed(self):
        await self.socket.wait_closed()
        return self.socket.close_code


async def test_real_speech_in_lock_step(server):
    clip = next(clip for clip in recordings() if clip.path.name == "librivox-0880.flac")
    audio = np.concatenate([clip.waveform(), silence(1), clip.waveform()])
    async with streaming(server.client, "/vosk") as client:
        vosk = LockStep(client)
        await vosk.configure(sample_rate=16_000)
        answers = await vosk.hear(audio)
        last = await vosk.ask('{"eof" : 1}')
        assert await vosk.closed() == 1000
    (middle,) = [answer for answer in answers if "text" in answer]
    for result in (middle, last):
        assert cer(clip.text, result["text"]) < 0.25
        assert " ".join(word["word"] for word in result["result"]) == result["text"]
        assert all(set(word) == {"conf", "end", "start", "word"} for word in result["result"])
        assert 0.5 < np.mean([word["conf"] for word in result["result"]]) <= 1
    partials = [answer["partial"] for answer in answers if "partial" in answer]
    assert len(partials) == len(answers) - 1
    assert any("he was not" in partial for partial in partials)
    assert last["result"][0]["start"] > middle["result"][-1]["end"] + 1


async def test_reset_ends_the_utterance_and_keeps_the_socket(tiny):
    async with streaming(tiny, "/vosk") as client:
        vosk = LockStep(client)
        await vosk.configure(sample_rate=16_000.0)
        assert await vosk.ask('{"reset":1}') == {"text": ""}
        await vosk.hear(speak("good"))
        assert (await vosk.ask('{"reset" : 1}'))["text"] == "good"
        await vosk.hear(speak("bye"))
        assert (await vosk.ask('{"eof":1}'))["text"] == "bye"


async def test_one_answer_for_each_piece_even_if_several_utterances_end_in_it(tiny):
    audio = np.concatenate([speak("good"), silence(2), speak("bye"), silence(2)])
    async with streaming(tiny, "/vosk") as client:
        vosk = LockStep(client)
        await vosk.configure(sample_rate=16_000)
        answer = await vosk.ask(pcm(audio))
        assert answer["text"] == "good bye"
        assert await vosk.ask(pcm(silence(0.2))) == {"partial": ""}
        assert await vosk.ask('{"eof" : 1}') == {"text": ""}


async def test_a_piece_longer_than_what_may_wait_is_heard_whole(tiny):
    audio = np.concatenate([speak("good"), silence(12), speak("bye"), silence(2)])
    async with streaming(tiny, "/vosk") as client:
        assert (await LockStep(client).ask(pcm(audio)))["text"] == "good bye"


async def test_what_is_configured_shapes_the_results(tiny):
    async with streaming(tiny, "/vosk") as client:
        vosk = LockStep(client)
        await vosk.configure(sample_rate=16_000, words=False, model="/etc/passwd")
        await vosk.hear(speak("good"))
        assert await vosk.ask('{"reset" : 1}') == {"text": "good"}
        await vosk.configure(words=True, max_alternatives=3, phrase_list=["good", "[unk]"])
        await vosk.hear(speak("bye"))
        (only,) = (await vosk.ask('{"eof" : 1}'))["alternatives"]
        assert only["text"] == "bye"
        assert [word["word"] for word in only["result"]] == ["bye"]
        assert 0 < only["confidence"] <= 1


async def test_hot_words_are_phrases_where_there_is_a_language_model(server):
    async with streaming(server.client, "/vosk") as client:
        vosk = LockStep(client)
        await vosk.configure(sample_rate=16_000, phrase_list=["dashwood", "[unk]"])
        clip = next(clip for clip in recordings() if clip.is_human)
        await vosk.hear(clip.waveform()[: 16_000 * 3])
        assert "dashwood" in (await vosk.ask('{"eof" : 1}'))["text"]


async def test_telephone_audio_needs_no_configuration(tiny):
    async with streaming(tiny, "/vosk") as client:
        vosk = LockStep(client)
        answers = await vosk.hear(speak("good")[::2], rate_hz=8000)
        assert len(answers) == len(range(0, len(speak("good")[::2]) * 2, 3200))
        assert (await vosk.ask('{"eof" : 1}'))["text"] == "good"


@pytest.mark.parametrize("message", ["{", "[]", '{"config": {"sample_rate": "high"}}', "9" * 5000])
async def test_what_cannot_be_read_is_an_error_and_1008(tiny, message):
    async with streaming(tiny, "/vosk") as client:
        vosk = LockStep(client)
        assert (await vosk.ask(message))["code"] == "invalid_request"
        assert await vosk.closed() == 1008


async def test_sigterm_gives_the_text_first_and_closes_with_1013(folder):
    with process(folder) as running, connected(running) as http:
        wait_for_readiness(http, 200)
        async with streaming(http, "/vosk") as client:
            vosk = LockStep(client)
            await vosk.configure(sample_rate=16_000)
            await vosk.hear(speak("good"))
            running.send_signal(signal.SIGTERM)
            result, error = await client.rest()
            assert (result["text"], error["code"]) == ("good", "not_ready")
            assert await vosk.closed() == 1013
        assert await asyncio.to_thread(running.wait, PATIENCE_S) == 0
