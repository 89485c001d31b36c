"""Recordings on disk as waveforms."""

from pathlib import Path

from model_export.errors import ManifestInvalid
from service.arrays import FloatArray
from service.audio import decode_audio
from service.errors import ClientError


def load_waveform(path: Path) -> FloatArray:
    """Decode a recording.

    Returns:
        Mono `[samples]`, 16 kHz, float32 in [-1, 1].

    Raises:
        ManifestInvalid: it cannot be decoded.
    """
    try:
        return decode_audio(path)
    except (ClientError, OSError) as error:
        raise ManifestInvalid(f"{path} cannot be decoded: {error}") from error
