"""Real speech through a real socket, with the shipped bundle: heard in windows."""

import asyncio
from pathlib import Path

import numpy as np
import pytest
from recordings import cer, recordings
from socket_client import of_type, pcm, silence, streaming

from service.audio import decode_audio

ASSETS = Path(__file__).parents[1] / "assets"
BROWSER = ASSETS / "browser"
CLIPS = [recording for recording in recordings() if recording.is_human]


async def heard(server, encoding, data, piece_bytes, **start):
    async with streaming(server.client) as client:
        await client.begin(encoding, **start)
        sending = asyncio.create_task(client.send(data, piece_bytes))
        await sending
        await client.say("stop")
        return await client.rest()


async def test_sentences_with_pauses_are_heard_as_well_as_files(server):
    audio = np.concatenate([part for clip in CLIPS for part in (clip.waveform(), silence(1.5))])
    messages = await heard(server, "pcm_s16le", pcm(audio), 3200)
    finals = of_type(messages, "final")
    assert len(finals) >= len(CLIPS)
    streamed = " ".join(final["text"] for final in finals)
    files = [server.transcribe(clip.path.read_bytes())["text"] for clip in CLIPS]
    truth = " ".join(clip.text for clip in CLIPS)
    assert cer(truth, streamed) <= cer(truth, " ".join(files)) + 0.03
    words = [word for final in finals for word in final["words"]]
    assert all(0 <= word["start_s"] < word["end_s"] for word in words)
    assert [word["start_s"] for word in words] == sorted(word["start_s"] for word in words)


@pytest.mark.parametrize("name", ["chromium.webm", "chromium.mp4"])
async def test_what_a_browser_records_is_heard_as_it_arrives(server, name):
    data = (BROWSER / name).read_bytes()
    messages = await heard(server, "container", data, 2000)
    assert of_type(messages, "partial")
    (final,) = of_type(messages, "final")
    clip = next(clip for clip in CLIPS if clip.path.name == "librivox-0890.flac")
    a_word = 5 / len(clip.text)  # more may be misheard
    assert cer(clip.text, final["text"]) <= cer(clip.text, server.transcribe(data)["text"]) + a_word


async def test_quiet_speech_is_heard_and_minutes_of_a_quiet_room_say_nothing(server):
    clip = CLIPS[0]
    room = np.random.default_rng(0).standard_normal(16_000 * 120).astype(np.float32) * 10**-3.5
    quiet = clip.waveform() * 0.1  # 20 dB less
    audio = np.concatenate([room, quiet, room])
    messages = await heard(server, "f32le", audio.astype("<f4").tobytes(), 64_000, interim=False)
    text = " ".join(final["text"] for final in of_type(messages, "final"))
    assert cer(clip.text, text) < 0.25


async def test_telephone_speech_is_heard(server):
    clip = CLIPS[1]
    wave = decode_audio(clip.path)[::2]
    messages = await heard(server, "pcm_s16le", pcm(wave), 1600, sample_rate=8000)
    text = " ".join(final["text"] for final in of_type(messages, "final"))
    assert cer(clip.text, text) < 0.4
