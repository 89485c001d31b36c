"""Where the audio of a clip lies, and its waveform."""

import functools
import hashlib
import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import av
import soundfile

from model_export.errors import ManifestInvalid
from service.arrays import FloatArray
from service.audio import SAMPLE_RATE_HZ, decode_audio
from service.bundle import sha256_of
from service.containers import CONTAINERS, open_recording
from service.errors import ClientError, EmptyAudio

LONGEST_OVERSHOOT_S = 0.5  # a segment may end this much behind its file, as in Kaldi


class AudioFile(Protocol):
    """An audio file's bytes, wherever they lie; a `Path` is one, a row of a data set another."""

    @property
    def name(self) -> str:
        """A name that stays the same from run to run."""

    def read_bytes(self) -> bytes:
        """The whole file.

        Raises:
            OSError: it cannot be read.
        """

    def __hash__(self) -> int: ...


@dataclass(frozen=True)
class FileSegment:
    """A part of a longer recording.

    Attributes:
        path: of the whole recording.
        start_s: where the part begins.
        end_s: where it ends; None for the recording's end.
    """

    path: Path
    start_s: float
    end_s: float | None

    @property
    def name(self) -> str:
        """Name of the file and the times."""
        end = "" if self.end_s is None else f"{self.end_s:g}"
        return f"{self.path.name}@{self.start_s:g}-{end}"

    def __str__(self) -> str:
        return str(self.path.parent / self.name)


Audio = AudioFile | FileSegment


def load_waveform(audio: Audio) -> FloatArray:
    """Decode a recording.

    Returns:
        Mono `[samples]`, 16 kHz, float32 in [-1, 1].

    Raises:
        ManifestInvalid: it cannot be decoded, or the segment lies outside of it.
    """
    try:
        if isinstance(audio, FileSegment):
            return _load_segment(audio)
        return decode_audio(audio if isinstance(audio, Path) else audio.read_bytes())
    except (ClientError, OSError, ValueError) as error:  # the last for odd names
        raise ManifestInvalid(f"{audio} cannot be decoded: {error}") from error


def digests_of(audios: Iterable[Audio]) -> list[str]:
    """Digest of each recording's bytes and, of a segment, its times.

    What cannot be read has a digest too, so that its return is noticed.
    """
    file_digest = functools.cache(_file_digest)
    return [
        f"{file_digest(audio.path)}@{audio.start_s}-{audio.end_s}"
        if isinstance(audio, FileSegment)
        else file_digest(audio)
        for audio in audios
    ]


def packets_s(audio: AudioFile) -> float:
    """Duration by the packets in a file, which is tenfold quicker than decoding them.

    Raises:
        ManifestInvalid: it cannot be read, or is not audio that we read.
    """
    try:
        file = audio.open("rb") if isinstance(audio, Path) else io.BytesIO(audio.read_bytes())
        with file, av.open(file, "r", options={"format_whitelist": CONTAINERS}) as container:
            stream = container.streams.audio[0]
            ticks = sum(packet.duration or 0 for packet in container.demux(stream))
            return float(ticks * (stream.time_base or 0))
    except (av.FFmpegError, OSError, ValueError, IndexError) as error:
        raise ManifestInvalid(f"{audio} is not audio that we read: {error}") from error


def _file_digest(audio: AudioFile) -> str:
    try:
        if isinstance(audio, Path):
            return sha256_of(audio)
        return hashlib.sha256(audio.read_bytes()).hexdigest()
    except OSError:
        return "unreadable"


def _load_segment(segment: FileSegment) -> FloatArray:
    try:
        return decode_audio(_cut(segment))
    except soundfile.LibsndfileError:
        # libsndfile can seek but does not know every codec; the rest is decoded from its start.
        waveform = decode_audio(segment.path)
        start, end = _bounds(segment, len(waveform), SAMPLE_RATE_HZ)
        return waveform[start:end]


def _cut(segment: FileSegment) -> bytes:
    """The segment as a WAV file, at the rate and with the channels of the recording."""
    with soundfile.SoundFile(segment.path) as sound:
        start, end = _bounds(segment, sound.frames, sound.samplerate)
        sound.seek(start)
        samples = sound.read(end - start, dtype="float32", always_2d=True)
        wav = io.BytesIO()
        soundfile.write(wav, samples, sound.samplerate, format="WAV", subtype="FLOAT")
    return wav.getvalue()


def _bounds(segment: FileSegment, samples: int, rate_hz: int) -> tuple[int, int]:
    """First sample of a segment, and the one behind its last."""
    end_s = samples / rate_hz if segment.end_s is None else segment.end_s
    start, end = round(segment.start_s * rate_hz), round(end_s * rate_hz)
    if not 0 <= start < min(end, samples) or end > samples + LONGEST_OVERSHOOT_S * rate_hz:
        raise EmptyAudio(
            f"the recording lasts {samples / rate_hz:.2f} s; the segment is not inside it",
            found=end_s,
            limit=samples / rate_hz,
        )
    return start, min(end, samples)


def rate_of(audio: Audio) -> int:
    """Sample rate at which a recording is stored, in hertz.

    Raises:
        ManifestInvalid: it cannot be decoded.
    """
    file = audio.path if isinstance(audio, FileSegment) else audio
    try:
        opened = file.open("rb") if isinstance(file, Path) else io.BytesIO(file.read_bytes())
        with opened, open_recording(opened) as recording:
            rate_hz, _ = next(recording.blocks)
    except (ClientError, OSError, StopIteration) as error:
        raise ManifestInvalid(f"{audio} cannot be decoded: {error}") from error
    return rate_hz
