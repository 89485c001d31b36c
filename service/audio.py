"""Files to waveforms: mono float32 at 16 kHz.

    file -> blocks [channels, samples] -> mean of the channels -> resampling -> waveform

Everything streams, so that every cap holds while decoding: neither a forged header nor a few
megabytes that unfold into hours of samples get further than the limits.
"""

import io
import itertools
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import IO

import numpy as np
import soxr

from service.arrays import SAMPLE_RATE_HZ as SAMPLE_RATE_HZ
from service.arrays import FloatArray
from service.containers import Block, open_recording
from service.errors import AudioTooLong, AudioTooShort, EmptyAudio, UnsupportedAudio

Source = bytes | str | Path | IO[bytes]

MAX_AMPLITUDE = 100.0  # full scale is 1; beyond this it is damage, or integers stored as floats


@dataclass(frozen=True)
class AudioLimits:
    """What decoding refuses.

    Attributes:
        max_duration_s: longest audio, in seconds.
        max_channels: most channels.
        min_rate_hz: lowest sample rate.
        max_rate_hz: highest sample rate.
        min_samples: fewest samples at 16 kHz; what a model needs for one frame.
    """

    max_duration_s: float = 7200.0
    max_channels: int = 16
    min_rate_hz: int = 4_000
    max_rate_hz: int = 192_000
    min_samples: int = 1


DEFAULT_LIMITS = AudioLimits()
_NOTHING = np.empty(0, np.float32)

SILENT_RMS = 10 ** (-55 / 20)  # of full scale; quiet speech is 20 dB above it
SILENT_BLOCK_SAMPLES = SAMPLE_RATE_HZ // 10


def decode_audio(
    source: Source,
    limits: AudioLimits = DEFAULT_LIMITS,
    *,
    watch: Callable[[float], None] | None = None,
) -> FloatArray:
    """Decode a file into one waveform.

    Args:
        source: the file's bytes, its path, or a seekable binary file.
        limits: what to refuse.
        watch: called before and while decoding with the seconds that the file promises, or that it
            gave by now if they are more; what it raises ends the decoding.

    Returns:
        `[samples]`, mono, 16 kHz, full scale 1.

    Raises:
        EmptyAudio: no bytes or no samples.
        AudioTooShort: fewer samples than `limits.min_samples`.
        AudioTooLong: more seconds than `limits.max_duration_s`.
        TruncatedAudio: the stream ends before what its header promises, or breaks off.
        UnsupportedAudio: not audio, or outside the other limits.
        OSError: the path cannot be read.
    """
    if isinstance(source, bytes):
        return _decode(io.BytesIO(source), limits, watch)
    if isinstance(source, str | Path):
        with Path(source).open("rb") as file:
            return _decode(file, limits, watch)
    return _decode(source, limits, watch)


def is_silent(waveform: FloatArray) -> bool:
    """Whether no tenth of a second of a waveform `[samples]` is loud enough to be speech."""
    whole = waveform.size // SILENT_BLOCK_SAMPLES * SILENT_BLOCK_SAMPLES
    blocks = waveform[:whole].reshape(-1, SILENT_BLOCK_SAMPLES)
    loudest = np.einsum("bs,bs->b", blocks, blocks).max(initial=0.0) / SILENT_BLOCK_SAMPLES
    rest = waveform[whole:]
    rest_power = np.dot(rest, rest) / max(1, rest.size)
    return bool(max(loudest, rest_power) < SILENT_RMS**2)


def check_format(rate_hz: int, channels: int, limits: AudioLimits) -> None:
    """Refuse a rate or a number of channels outside the limits.

    Raises:
        UnsupportedAudio: naming what was found, and the limit.
    """
    if channels > limits.max_channels:
        raise UnsupportedAudio(
            f"{channels} channels are more than {limits.max_channels}",
            found=channels,
            limit=limits.max_channels,
        )
    if not limits.min_rate_hz <= rate_hz <= limits.max_rate_hz:
        lowest, highest = limits.min_rate_hz, limits.max_rate_hz
        raise UnsupportedAudio(
            f"a sample rate of {rate_hz} Hz is outside {lowest} to {highest} Hz",
            found=rate_hz,
            limit=lowest if rate_hz < lowest else highest,
        )


def decoded_pieces(
    file: IO[bytes], limits: AudioLimits
) -> Generator[tuple[float, FloatArray], None, None]:
    """Decode a file piece by piece; `decode_audio` says what it raises.

    Args:
        file: seekable; stays open.
        limits: what to refuse.

    Yields:
        The seconds that the file promises, or that it gave by now if they are more; and the next
        samples `[samples]`, none the first time.
    """
    if file.seek(0, io.SEEK_END) == 0:
        raise EmptyAudio("the file is empty", found=0, limit=limits.min_samples)
    samples = 0
    with open_recording(file) as recording:
        promised_s = recording.promised_s or 0.0
        _check_duration(promised_s, limits)
        for piece in itertools.chain([_NOTHING], _resampled(_checked(recording.blocks, limits))):
            samples += piece.size
            decoded_s = samples / SAMPLE_RATE_HZ
            _check_duration(decoded_s, limits)
            yield max(promised_s, decoded_s), piece
    _check_samples(samples, limits)


def _decode(
    file: IO[bytes], limits: AudioLimits, watch: Callable[[float], None] | None
) -> FloatArray:
    decoded = bytearray()
    with closing(decoded_pieces(file, limits)) as pieces:
        for seconds, piece in pieces:
            decoded += piece.data
            if watch is not None:
                watch(seconds)
    return np.frombuffer(decoded, dtype=np.float32)


def _resampled(blocks: Iterator[Block]) -> Iterator[FloatArray]:
    """Mono pieces at 16 kHz; the rate may change between blocks."""
    for rate_hz, run in itertools.groupby(blocks, key=itemgetter(0)):
        if rate_hz == SAMPLE_RATE_HZ:
            yield from (_mono(block) for _, block in run)
            continue
        resampler = soxr.ResampleStream(rate_hz, SAMPLE_RATE_HZ, 1, dtype="float32")
        for _, block in run:
            yield resampler.resample_chunk(_mono(block))
        yield resampler.resample_chunk(_NOTHING, last=True)


def _mono(block: FloatArray) -> FloatArray:
    """Mean of the channels; numpy is slow at the mean of one."""
    mono: FloatArray = block[0] if len(block) == 1 else block.mean(axis=0)
    return mono


def _checked(blocks: Iterator[Block], limits: AudioLimits) -> Iterator[Block]:
    for rate_hz, block in blocks:
        check_format(rate_hz, len(block), limits)
        peak = float(np.abs(block).max(initial=0.0))
        if not peak <= MAX_AMPLITUDE:  # NaN included
            raise UnsupportedAudio(
                f"samples reach {peak:g}; full scale is 1", found=str(peak), limit=MAX_AMPLITUDE
            )
        yield rate_hz, block


def _check_duration(duration_s: float, limits: AudioLimits) -> None:
    if duration_s > limits.max_duration_s:
        raise AudioTooLong(
            f"{duration_s:.1f} s of audio are more than {limits.max_duration_s:g} s",
            found=duration_s,
            limit=limits.max_duration_s,
        )


def _check_samples(samples: int, limits: AudioLimits) -> None:
    if samples == 0:
        raise EmptyAudio("the file holds no samples", found=0, limit=limits.min_samples)
    if samples < limits.min_samples:
        raise AudioTooShort(
            f"{samples} samples at 16 kHz are too few: the model needs {limits.min_samples}",
            found=samples,
            limit=limits.min_samples,
        )
