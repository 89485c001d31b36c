"""The bundle for live audio that comes along: chunks are computed once, files by the same graph."""

import asyncio
from pathlib import Path

import numpy as np
import pytest
from recordings import cer, recordings
from server_process import serving
from socket_client import of_type, pcm, silence, streaming

CHUNK_MS, LOOKAHEAD_MS = 320, 12.5
CLIPS = [recording for recording in recordings() if not recording.is_human]
UNHEARD = [clip for clip in CLIPS if clip.path.name.startswith("kokoro-10")]


@pytest.fixture(scope="module")
def client():
    with serving(Path("english-live")) as client:
        yield client


async def heard(client, audio, piece_bytes):
    async with streaming(client) as stream:
        ready = await stream.begin("pcm_s16le")
        sending = asyncio.create_task(stream.send(pcm(audio), piece_bytes))
        await sending
        await stream.say("stop")
        return ready, await stream.rest()


def finals(messages):
    return " ".join(final["text"] for final in of_type(messages, "final"))


async def test_chunks_are_computed_once_and_the_wait_is_told(client):
    ready, messages = await heard(client, CLIPS[0].waveform(), 3200)
    assert ready["kind"] == "incremental"
    assert ready["latency_ms"] == pytest.approx(CHUNK_MS + LOOKAHEAD_MS)
    assert of_type(messages, "partial")


async def test_unheard_voices_are_understood_however_audio_is_cut(client):
    audio = np.concatenate([part for clip in UNHEARD for part in (clip.waveform(), silence(1.5))])
    texts = {finals((await heard(client, audio, size))[1]) for size in (700, 6400, 200_000)}
    (text,) = texts
    assert cer(" ".join(clip.text for clip in UNHEARD), text) < 0.15


async def test_what_is_shown_while_somebody_speaks_is_made_of_words_and_settles(client):
    clip = UNHEARD[3]
    async with streaming(client) as stream:
        await stream.begin("pcm_s16le")
        for piece in np.array_split(clip.waveform(), int(clip.waveform().size / 1600)):
            await stream.send(pcm(piece))
            await asyncio.sleep(0.05)  # of audio that lies far behind, nothing is shown
        await stream.say("stop")
        messages = await stream.rest()
    partials = of_type(messages, "partial")
    stable = ""
    for partial in partials:
        assert partial["text"].startswith(stable)
        stable = partial["text"][: partial["stable_chars"]]
    assert cer(clip.text[: len(stable)], stable) < 0.3
    assert len(stable) > len(clip.text) / 2
    finished = [word for partial in partials for word in partial["text"].split()[:-2]]
    assert np.mean([word in clip.text for word in finished]) > 0.8


def test_files_are_heard_by_the_same_graph(client):
    for clip in UNHEARD[:2]:
        answer = client.post("/transcribe", files={"file": clip.path.read_bytes()}).json()
        assert answer["model"] == "english-live"
        assert cer(clip.text, answer["text"]) < 0.2
        assert all(0 <= word["start_s"] < word["end_s"] for word in answer["words"])
