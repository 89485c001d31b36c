"""How a client cuts its audio into messages changes nothing that is said in the end."""

import asyncio
from itertools import pairwise

import numpy as np
import pytest
from audio_files import encode
from hypothesis import given, settings
from hypothesis import strategies as st
from sessions import Sessions, events_of, finals, silence
from tiny_bundle import make_streaming_bundle, speak, speak_to_graph

from service.audio import AudioLimits
from service.streaming.live_container import ContainerSource
from service.streaming.sources import AudioFormat, RawSource

LIMITS = AudioLimits()
WORDS = st.lists(st.text("abcdefgh", min_size=1, max_size=5), min_size=1, max_size=6)
PAUSES_S = st.sampled_from([0.06, 0.3, 0.9])


@pytest.fixture(scope="module")
def sessions(tmp_path_factory):
    return Sessions(make_streaming_bundle(tmp_path_factory.mktemp("bundles") / "streaming"))


def cut(draw, size):
    """Places where something of this size is cut, at most five."""
    return sorted(draw.draw(st.lists(st.integers(0, size), max_size=5)))


@pytest.mark.parametrize("kind", ["incremental", "windowed"])
@settings(max_examples=15, deadline=None)
@given(words=WORDS, draw=st.data())
def test_any_split_of_the_samples_gives_the_same_finals(sessions, kind, words, draw):
    say = speak if kind == "windowed" else speak_to_graph
    parts = [part for word in words for part in (say(word), silence(draw.draw(PAUSES_S)))]
    audio = np.concatenate([silence(3), *parts])
    make = getattr(sessions, kind)

    async def heard(pieces):
        return finals(await events_of(make(), pieces))

    pieces = np.split(audio, cut(draw, audio.size))
    whole = asyncio.run(heard([audio]))
    assert asyncio.run(heard(pieces)) == whole
    assert "".join(final.text for final in whole).replace(" ", "") == "".join(words)


async def samples_of(source, pieces):
    samples = [part for piece in pieces async for part in source.feed(piece)]
    samples += [part async for part in source.end()]
    source.close()
    return np.concatenate(samples)


@settings(max_examples=20, deadline=None)
@given(
    rate_hz=st.sampled_from([8000, 16_000, 44_100, 48_000]),
    channels=st.integers(1, 2),
    encoding=st.sampled_from(["pcm_s16le", "f32le"]),
    draw=st.data(),
)
def test_any_split_of_raw_bytes_gives_the_same_samples(rate_hz, channels, encoding, draw):
    generator = np.random.default_rng(0)
    waveform = generator.uniform(-0.5, 0.5, (rate_hz // 2, channels)).astype("<f4")
    chunk = (waveform * 32768).astype("<i2") if encoding == "pcm_s16le" else waveform
    data = chunk.tobytes()
    audio_format = AudioFormat(encoding, rate_hz, channels)
    places = [0, *cut(draw, len(data)), len(data)]
    pieces = [data[start:end] for start, end in pairwise(places)]
    whole = asyncio.run(samples_of(RawSource(audio_format, LIMITS), [data]))
    split = asyncio.run(samples_of(RawSource(audio_format, LIMITS), pieces))
    assert whole.size == pytest.approx(8000, abs=2)
    np.testing.assert_allclose(split, whole, atol=1e-6)


@settings(max_examples=15, deadline=None)
@given(container=st.sampled_from(["webm", "ogg"]), draw=st.data())
def test_any_split_of_a_container_gives_the_same_samples(container, draw):
    seconds = np.arange(16_000) / 16_000
    tone = (0.3 * np.sin(2 * np.pi * 440 * seconds)).astype(np.float32)
    data = encode(tone, container, "libopus", rate_hz=48_000)
    places = [0, *cut(draw, len(data)), len(data)]
    pieces = [data[start:end] for start, end in pairwise(places)]

    async def heard(pieces):
        return await samples_of(ContainerSource(LIMITS), pieces)

    whole, split = asyncio.run(heard([data])), asyncio.run(heard(pieces))
    assert whole.size > 5000
    np.testing.assert_allclose(split, whole, atol=1e-6)
