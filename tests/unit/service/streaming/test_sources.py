import asyncio
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from audio_files import encode

from service.audio import AudioLimits, decode_audio
from service.errors import UnsupportedAudio
from service.isolation.children import Children
from service.isolation.live import IsolatedContainer
from service.isolation.wire import Bounds
from service.streaming.live_container import ContainerSource
from service.streaming.sources import AudioFormat, RawSource

BROWSER = Path(__file__).parents[3] / "assets" / "browser"
LIMITS = AudioLimits(max_channels=2, min_rate_hz=4000, max_rate_hz=96_000)
PIECE_BYTES = 1500


@pytest.fixture(params=["thread", "process"])
def container_source(request, children):
    """Opens containers in a thread, or in a process."""
    if request.param == "thread":
        return ContainerSource
    return partial(IsolatedContainer, children)


async def joined(parts):
    return np.concatenate([np.empty(0, np.float32), *[part async for part in parts]])


async def fed(source, data):
    pieces = [data[first : first + PIECE_BYTES] for first in range(0, len(data), PIECE_BYTES)]
    samples = [await joined(source.feed(piece)) for piece in pieces]
    return samples, await joined(source.end())


@pytest.mark.parametrize(
    ("rate_hz", "channels", "told"), [(3999, 1, "3999 Hz"), (96_001, 1, "96001"), (16_000, 3, "3")]
)
def test_raw_formats_outside_the_limits_are_refused(rate_hz, channels, told):
    with pytest.raises(UnsupportedAudio, match=told):
        RawSource(AudioFormat("pcm_s16le", rate_hz, channels), LIMITS)


async def test_channels_are_averaged():
    source = RawSource(AudioFormat("pcm_s16le", 16_000, 2), LIMITS)
    samples = await joined(source.feed(np.array([[100, 300], [-200, 0]], "<i2").tobytes()))
    np.testing.assert_allclose(samples * 32768, [200, -100])


async def test_floats_that_are_no_audio_are_refused():
    source = RawSource(AudioFormat("f32le"), LIMITS)
    with pytest.raises(UnsupportedAudio, match="nan"):
        await joined(source.feed(np.array([np.nan], "<f4").tobytes()))


@pytest.mark.parametrize("name", ["chromium.webm", "chromium.mp4"])
async def test_what_a_browser_records_is_decoded_as_it_arrives(container_source, name):
    data = (BROWSER / name).read_bytes()
    pieces, rest = await fed(source := container_source(LIMITS), data)
    source.close()
    whole = decode_audio(data)
    np.testing.assert_allclose(np.concatenate([*pieces, rest]), whole, atol=1e-6)
    half = sum(piece.size for piece in pieces[: len(pieces) // 2])
    assert half == pytest.approx(whole.size / 2, rel=0.1)  # no seconds of delay


@pytest.mark.parametrize("data", [b"", b"no audio at all " * 5000], ids=["nothing", "garbage"])
async def test_what_is_no_container_is_refused(container_source, data):
    source = container_source(LIMITS)
    with pytest.raises(UnsupportedAudio, match="not audio in a container"):
        await fed(source, data)
    source.close()


async def test_a_container_outside_the_limits_is_refused(container_source):
    tone = np.zeros(16_000, np.float32)
    source = container_source(AudioLimits(max_channels=1))
    with pytest.raises(UnsupportedAudio, match="2 channels"):
        await fed(source, encode(tone, "ogg", "libopus", rate_hz=48_000, layout="stereo"))
    source.close()


async def test_a_few_bytes_that_hold_much_are_decoded_as_they_are_taken(container_source):
    data = encode(np.zeros(48_000 * 60, np.float32), "ogg", "libopus", rate_hz=48_000)
    assert len(data) < 150_000
    source = container_source(LIMITS)
    sizes = [part.size async for part in source.feed(data)]
    sizes += [part.size async for part in source.end()]
    source.close()
    assert sum(sizes) == pytest.approx(16_000 * 60, rel=0.01)
    assert max(sizes) < 16_000 * 6


async def test_a_source_that_is_closed_while_it_holds_too_much_lets_its_thread_go():
    source = ContainerSource(LIMITS)
    silence = encode(np.zeros(48_000 * 20, np.float32), "ogg", "libopus", rate_hz=48_000)
    parts = source.feed(silence)
    await anext(parts)
    source.close()
    source._thread.join(timeout=30)
    assert not source._thread.is_alive()
    await parts.aclose()


def wait_until_over(pid):
    while "State:\tZ" not in Path(f"/proc/{pid}/status").read_text():
        time.sleep(0.01)


async def test_a_process_whose_stream_is_left_ends_quietly(capfd):
    children = Children(Bounds(timeout_s=60, memory_bytes=2**29), lambda death: None)
    source = IsolatedContainer(children, LIMITS)
    await joined(source.feed((BROWSER / "chromium.webm").read_bytes()[:20_000]))
    source.close()
    await asyncio.to_thread(wait_until_over, source._child.pid)
    await asyncio.to_thread(children.close)
    assert capfd.readouterr().err == ""


async def test_a_source_that_is_closed_lets_its_thread_go():
    source = ContainerSource(LIMITS)
    await joined(source.feed((BROWSER / "chromium.webm").read_bytes()[:20_000]))
    source.close()
    source._thread.join(timeout=30)
    assert not source._thread.is_alive()
