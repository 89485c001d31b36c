"""Bytes of a stream to samples, as they come: mono float32 at 16 kHz, whatever was agreed on."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from service.arrays import FloatArray
from service.audio import SAMPLE_RATE_HZ, AudioLimits, check_format
from service.resampling import Resampler
from service.streaming.companding import ALAW, MULAW

Encoding = Literal["pcm_s16le", "f32le", "mulaw", "alaw", "container"]

LARGE_BYTES = 1 << 15  # a second of audio; others have their turn between two of them
_SAMPLE_TYPES: dict[str, npt.DTypeLike] = {"pcm_s16le": "<i2", "f32le": "<f4"}
_PCM_SCALE = np.float32(2.0**15)


@dataclass(frozen=True)
class AudioFormat:
    """What a client says that it sends.

    Attributes:
        encoding: of the samples (those of telephones by ITU-T G.711), or a container that tells by
            itself.
        sample_rate_hz: of raw samples.
        channels: of raw samples, interleaved; they are averaged.
    """

    encoding: Encoding = "pcm_s16le"
    sample_rate_hz: int = SAMPLE_RATE_HZ
    channels: int = 1


class Source(Protocol):
    """Turns what a client sends into samples."""

    def feed(self, chunk: bytes) -> AsyncIterator[FloatArray]:
        """Samples `[samples]` that these bytes complete, in pieces of bounded length.

        Raises:
            ClientError: it is not the audio that was agreed on.
        """
        ...

    def end(self) -> AsyncIterator[FloatArray]:
        """The last samples `[samples]`; nothing is fed afterwards."""
        ...

    def close(self) -> None:
        """Let go of everything, whether or not it came to an end."""
        ...


class RawSource:
    """Raw samples; a message may end in the middle of one.

    Args:
        audio_format: what is sent.
        limits: what to refuse.

    Raises:
        UnsupportedAudio: the format is outside the limits.
    """

    def __init__(self, audio_format: AudioFormat, limits: AudioLimits) -> None:
        check_format(audio_format.sample_rate_hz, audio_format.channels, limits)
        self._format = audio_format
        self._sample_type = np.dtype(_SAMPLE_TYPES.get(audio_format.encoding, "u1"))
        self._frame_bytes = self._sample_type.itemsize * audio_format.channels
        self._resampler = Resampler(limits)
        self._rest = b""

    async def feed(self, chunk: bytes) -> AsyncIterator[FloatArray]:
        """Samples that these bytes complete; see `Source`."""
        for first in range(0, len(chunk), LARGE_BYTES):
            yield self._feed(chunk[first : first + LARGE_BYTES])
            await asyncio.sleep(0)

    async def end(self) -> AsyncIterator[FloatArray]:
        """What the resampler still holds; half a sample is dropped."""
        yield self._resampler.end()

    def close(self) -> None:
        """Nothing to let go of."""

    def _feed(self, chunk: bytes) -> FloatArray:
        received = self._rest + chunk
        whole = len(received) - len(received) % self._frame_bytes
        self._rest = received[whole:]
        samples = self._samples(np.frombuffer(received[:whole], self._sample_type))
        block = samples.reshape(-1, self._format.channels).T
        return self._resampler.add(self._format.sample_rate_hz, block)

    def _samples(self, received: npt.NDArray[Any]) -> FloatArray:
        match self._format.encoding:
            case "pcm_s16le":
                return received.astype(np.float32) / _PCM_SCALE
            case "mulaw":
                return MULAW.take(received)
            case "alaw":
                return ALAW.take(received)
            case _:
                return received.astype(np.float32)
