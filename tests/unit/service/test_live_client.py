import sys
import types

import pytest

from service.live_client import StreamFailed, from_microphone


class Stream:
    """A microphone that says two pieces at once."""

    def __init__(self, *, callback, blocksize, **_):
        self._callback = callback
        self._blocksize = blocksize
        self.is_open = False

    def __enter__(self):
        for mark in (1, 2):
            self._callback(memoryview(bytes([mark]) * self._blocksize * 2), self._blocksize)
        self.is_open = True
        return self

    def __exit__(self, *_):
        self.is_open = False


@pytest.fixture
def microphone(monkeypatch):
    module = types.ModuleType("sounddevice")
    module.PortAudioError = type("PortAudioError", (Exception,), {})
    module.RawInputStream = Stream
    monkeypatch.setitem(sys.modules, "sounddevice", module)
    return module


async def test_a_microphone_gives_pieces_of_samples(microphone):
    speech = from_microphone()
    assert speech.start == {"type": "start", "encoding": "pcm_s16le", "sample_rate": 16_000}
    assert [await anext(speech.pieces) for _ in range(2)] == [b"\1" * 3200, b"\2" * 3200]
    await speech.pieces.aclose()


async def test_no_microphone_is_told(microphone):
    def absent(**_):
        raise microphone.PortAudioError("no input device")

    microphone.RawInputStream = absent
    with pytest.raises(StreamFailed, match="no input device"):
        await anext(from_microphone().pieces)


def test_without_the_package_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(StreamFailed, match="extra microphone"):
        from_microphone()
