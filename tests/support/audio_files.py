"""Audio files of every kind, made where they are needed."""

import io
from pathlib import Path

import av
import numpy as np
import soundfile

from service.arrays import FloatArray


def wav(
    samples: FloatArray, rate_hz: int = 16_000, subtype: str = "PCM_16", container: str = "WAV"
) -> bytes:
    """A file with samples `[samples]` or `[samples, channels]`, written by libsndfile."""
    file = io.BytesIO()
    soundfile.write(file, samples, rate_hz, format=container, subtype=subtype)
    return file.getvalue()


def encode(
    waveform: FloatArray,
    container: str,
    codec: str,
    *,
    rate_hz: int = 16_000,
    layout: str = "mono",
    path: Path | None = None,
    **options: str,
) -> bytes:
    """A file with the waveform `[samples]` on every channel, written by libav.

    Options that rewrite a finished file need a path to write it to.
    """
    target = io.BytesIO()
    with av.open(str(path) if path else target, "w", format=container, options=options) as output:
        stream = output.add_stream(codec, rate=rate_hz)
        stream.layout = layout
        channels = np.tile(waveform, (stream.layout.nb_channels, 1))
        frame = av.AudioFrame.from_ndarray(channels, format="fltp", layout=layout)
        frame.sample_rate, frame.pts = rate_hz, 0
        context = stream.codec_context
        resampler = av.AudioResampler(
            context.format or "fltp", layout, rate_hz, context.frame_size or 1024
        )
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            output.mux(stream.encode(piece))
        output.mux(stream.encode(None))
    return path.read_bytes() if path else target.getvalue()
