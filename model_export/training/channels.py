"""What stands between a mouth and a recording: the room, the codec of a telephone or browser."""

import io
from dataclasses import dataclass
from random import Random

import audiomentations
import av
import numpy as np

from service.arrays import FloatArray
from service.audio import SAMPLE_RATE_HZ, decode_audio

QUIET = 1e-6  # mean square of what holds no speech that a room could colour


@dataclass(frozen=True)
class Codec:
    """A way to squeeze speech.

    Attributes:
        name: of libav's encoder.
        container: of libav that holds it.
        rate_hz: sample rate it works at.
        bit_rates: bits per second to choose from; a codec with one rate takes none.
    """

    name: str
    container: str
    rate_hz: int
    bit_rates: tuple[int, ...] = ()


CODECS = (
    Codec("g722", "wav", 16_000),
    Codec("pcm_mulaw", "wav", 8_000),
    Codec("libopencore_amrnb", "amr", 8_000, (4_750, 7_950, 12_200)),
    Codec("libopus", "ogg", 16_000, (8_000, 12_000, 16_000, 24_000)),
    Codec("libmp3lame", "mp3", 16_000, (16_000, 24_000, 32_000)),
)


class Rooms:
    """Shoebox rooms of some metres with a speaker and a microphone somewhere in them.

    Echoes of the sixth order cost 10 ms per second of speech; those of the tenth five times that.
    """

    def __init__(self) -> None:
        self._simulate = audiomentations.RoomSimulator(
            *(3.0, 9.0, 3.0, 7.0, 2.4, 4.0),
            min_target_rt60=0.15,
            max_target_rt60=0.8,
            min_mic_distance=0.2,
            max_mic_distance=2.5,
            use_ray_tracing=False,
            max_order=6,
            leave_length_unchanged=True,
            p=1.0,
        )

    def __call__(self, waveform: FloatArray) -> FloatArray:
        """Hear a waveform `[samples]` in a room that the global generators draw, as loud as before.

        Silence is left as it is.
        """
        loudness = np.mean(np.square(waveform))
        if loudness < QUIET:
            return waveform
        heard = self._simulate(samples=waveform, sample_rate=SAMPLE_RATE_HZ)
        levelled: FloatArray = heard * np.sqrt(loudness / np.mean(np.square(heard)))
        return levelled


def through_any_codec(waveform: FloatArray, draw: Random) -> FloatArray:
    """Send a waveform `[samples]` through a codec and bit rate that `draw` chooses."""
    codec = draw.choice(CODECS)
    return through_codec(waveform, codec, draw.choice(codec.bit_rates or (None,)))


def through_codec(waveform: FloatArray, codec: Codec, bit_rate: int | None) -> FloatArray:
    """Encode and decode a waveform `[samples]`; the length stays, what a codec appends is cut.

    Args:
        waveform: 16 kHz in [-1, 1].
        codec: the way.
        bit_rate: bits per second; None takes the codec's own.
    """
    file = io.BytesIO()
    with av.open(file, "w", format=codec.container) as output:
        stream = output.add_stream(codec.name, rate=codec.rate_hz, layout="mono")
        assert isinstance(stream, av.AudioStream)
        if bit_rate is not None:
            stream.bit_rate = bit_rate
        frame = av.AudioFrame.from_ndarray(waveform[None], format="flt", layout="mono")
        frame.sample_rate = SAMPLE_RATE_HZ
        for squeezed in (frame, None):
            output.mux(stream.encode(squeezed))
    decoded = decode_audio(file.getvalue())[: len(waveform)]
    return np.pad(decoded, (0, len(waveform) - len(decoded)))
