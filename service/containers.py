"""Files to blocks of samples, at their own rate and with their own channels.

A WAV file that states its size is read by libsndfile, since libav spends 3 to 20 ms on asking
whether its PCM hides another codec. libav reads all the rest, from a closed list of containers:
others, such as playlists, would make it open files and addresses of their own.
"""

import io
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any, Protocol

import av
import av.container
import numpy as np
import soundfile

from service.arrays import FloatArray
from service.errors import TruncatedAudio, UnsupportedAudio

Block = tuple[int, FloatArray]  # rate in hertz, samples [channels, samples]

CONTAINERS = "aac,aiff,amr,au,caf,flac,matroska,webm,mov,mp4,m4a,3gp,3g2,mj2,mp3,ogg,w64,wav"
WAV_BLOCK_SAMPLES = 1 << 16  # of all channels together
WAV_MAX_CHUNKS = 1000
WAV_UNKNOWN_BYTES = 0x7FFF_F000  # 0, this or more stand for "until the end" in a WAV from a pipe

# Before 19, PyAV failed on tags that are no UTF-8 unless it was told to replace what is wrong.
ANY_TAGS: dict[str, Any] = (
    {"metadata_errors": "replace"} if int(av.__version__.partition(".")[0]) < 19 else {}
)

# Do not wait for seconds of a live stream to find out what its header says.
LIVE_OPTIONS = {
    "format_whitelist": CONTAINERS,
    "probesize": "4096",
    "formatprobesize": "32768",
    "analyzeduration": "0",
}
LIVE_BUFFER_BYTES = 4096

# Containers whose header promises a length, and the seconds a codec's delay may take from it.
PROMISE_TOLERANCE_S = {"aiff": 0.001, "flac": 0.001, "mov,mp4,m4a,3gp,3g2,mj2": 0.1}


@dataclass(frozen=True)
class Recording:
    """An opened file.

    Attributes:
        promised_s: the length that the header promises, in seconds; None if it does not.
        blocks: what is decoded as it is asked for, full scale 1.
    """

    promised_s: float | None
    blocks: Iterator[Block]


@contextmanager
def open_recording(file: IO[bytes]) -> Iterator[Recording]:
    """Open a file for decoding.

    Args:
        file: seekable; stays open.

    Raises:
        TruncatedAudio: on opening, or later from the blocks: the stream ends before what its
            header promises, or cannot be decoded any further.
        UnsupportedAudio: not audio in a container and codec that we read.
    """
    if _is_wav_of_known_size(file) and (sound := _open_wav(file)):
        with sound:
            yield Recording(sound.frames / sound.samplerate, _wav_blocks(sound))
    else:
        with _open_libav(file) as container:
            yield _libav_recording(container)


class Pipe(Protocol):
    """What can be read from its beginning to its end, once."""

    def read(self, size: int) -> bytes:
        """At least one byte, up to `size`; none at the end."""
        ...


def live_blocks(pipe: Pipe) -> Iterator[Block]:
    """Decode a container while it arrives.

    Raises:
        UnsupportedAudio: not audio in a container and codec that we read.
    """
    try:
        opened: Any = av.open(
            pipe,
            "r",
            options=LIVE_OPTIONS,
            buffer_size=LIVE_BUFFER_BYTES,
            **ANY_TAGS,
        )
        with opened as container:
            if not container.streams.audio:
                raise UnsupportedAudio("the stream holds no audio", found=0, limit=1)
            for frame in container.decode(audio=0):
                yield frame.sample_rate, planes_of(frame)
    except (av.FFmpegError, ValueError) as error:
        raise UnsupportedAudio("the stream is not audio in a container we read") from error


def _is_wav_of_known_size(file: IO[bytes]) -> bool:
    """Walk the chunks up to the samples; refuse a file that is shorter than they are."""
    file_bytes = file.seek(0, io.SEEK_END)
    file.seek(0)
    magic = file.read(12)
    if magic[:4] != b"RIFF" or magic[8:] != b"WAVE":
        return False
    for _ in range(WAV_MAX_CHUNKS):
        header = file.read(8)
        if len(header) < 8:
            return False
        name, chunk_bytes = struct.unpack("<4sI", header)
        if name == b"data":
            return _is_known(chunk_bytes, file_bytes - file.tell())
        file.seek(chunk_bytes + chunk_bytes % 2, io.SEEK_CUR)
    return False


def _is_known(promised_bytes: int, found_bytes: int) -> bool:
    known = 0 < promised_bytes < WAV_UNKNOWN_BYTES
    if known and found_bytes < promised_bytes:
        raise TruncatedAudio(
            f"the header promises {promised_bytes} bytes of samples; {found_bytes} are there",
            found=found_bytes,
            limit=promised_bytes,
        )
    return known


def _open_wav(file: IO[bytes]) -> soundfile.SoundFile | None:
    """A `SoundFile`, or None for a codec that libsndfile does not know."""
    file.seek(0)
    try:
        return soundfile.SoundFile(file)
    except soundfile.LibsndfileError:
        return None


def _wav_blocks(sound: soundfile.SoundFile) -> Iterator[Block]:
    frames = max(1, WAV_BLOCK_SAMPLES // sound.channels)
    while len(block := sound.read(frames, dtype="float32", always_2d=True)):
        yield sound.samplerate, np.ascontiguousarray(block.T)


def _open_libav(file: IO[bytes]) -> av.container.InputContainer:
    file.seek(0)
    try:
        opened: av.container.InputContainer = av.open(
            file, "r", options={"format_whitelist": CONTAINERS}, **ANY_TAGS
        )
    except (av.FFmpegError, ValueError) as error:
        raise UnsupportedAudio("the file is not audio in a container we read") from error
    return opened


def _libav_recording(container: av.container.InputContainer) -> Recording:
    if not container.streams.audio:
        raise UnsupportedAudio("the file holds no audio", found=0, limit=1)
    stream = container.streams.audio[0]
    promised_s = None
    if container.format.name in PROMISE_TOLERANCE_S and stream.duration and stream.time_base:
        promised_s = float(stream.duration * stream.time_base)
    return Recording(promised_s, _libav_blocks(container, promised_s))


def _libav_blocks(
    container: av.container.InputContainer, promised_s: float | None
) -> Iterator[Block]:
    decoded_s = 0.0
    try:
        for frame in container.decode(audio=0):
            yield frame.sample_rate, planes_of(frame)
            decoded_s += frame.samples / frame.sample_rate
    except (av.FFmpegError, ValueError) as error:
        kind = TruncatedAudio if decoded_s or promised_s else UnsupportedAudio
        raise kind(
            f"the stream cannot be decoded beyond {decoded_s:.3f} s",
            found=decoded_s,
            limit=promised_s,
        ) from error
    shortfall_s = (promised_s or 0.0) - decoded_s
    if shortfall_s > PROMISE_TOLERANCE_S.get(container.format.name, 0.0):
        raise TruncatedAudio(
            f"the header promises {promised_s:.3f} s; the stream ends after {decoded_s:.3f} s",
            found=decoded_s,
            limit=promised_s,
        )


def planes_of(frame: av.AudioFrame) -> FloatArray:
    """Samples `[channels, samples]` of a frame, integers scaled to full scale 1."""
    samples = frame.to_ndarray()
    if not frame.format.is_planar:
        samples = samples.reshape(-1, frame.layout.nb_channels).T
    if samples.dtype.kind == "f":
        return samples.astype(np.float32)
    full_scale = 2.0 ** (8 * samples.dtype.itemsize - 1)
    middle = full_scale if samples.dtype.kind == "u" else 0.0
    return ((samples - middle) / full_scale).astype(np.float32)
