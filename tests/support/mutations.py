"""Files that were never meant to be decoded, drawn from a seed: mutants of real files, and lies."""

import gzip
import io
import random
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from audio_files import encode, wav
from recordings import ASSETS, recordings

HEADER_BYTES = 512
EXTREMES = tuple(map(bytes.fromhex, ("00000000", "ffffffff", "7fffffff", "ffffff7f", "00000080")))
MAGIC = (b"", b"\0", b"RIFF", b"RIFF\0\0\0\0WAVE", b"fLaC", b"OggS", b"\x1aE\xdf\xa3")
RATES_HZ = (0, 1, 3999, 4000, 7999, 192_000, 192_001, 2**31 - 1, 2**32 - 1)
CHANNELS = (0, 1, 2, 16, 17, 255, 1024, 65_535)
HOURS_S = 6 * 3600

Dice = random.Random
Mutate = Callable[[bytes, Dice], bytes]


@dataclass(frozen=True)
class Mutant:
    """A file, and what was done to make it."""

    how: str
    content: bytes


class Mutator:
    """Draws mutants.

    Args:
        seed: the same gives the same mutants.
    """

    def __init__(self, seed: int) -> None:
        self._dice = Dice(seed)
        self.seeds = seeds()

    @cached_property
    def bombs(self) -> dict[str, bytes]:
        """Made when the first is drawn: it takes some seconds."""
        return bombs()

    def draw(self) -> Mutant:
        """One more."""
        dice = self._dice
        kind = dice.random()
        if kind < 0.001:
            name = dice.choice(list(self.bombs))
            return Mutant(name, self.bombs[name])
        if kind < 0.25:
            invent = dice.choice(INVENTIONS)
            return Mutant(invent.__name__, invent(dice))
        name = dice.choice(list(self.seeds))
        content, done = self.seeds[name], [name]
        for _ in range(dice.choice((1, 1, 1, 2, 3))):
            mutate = dice.choice(MUTATIONS)
            content = mutate(content, dice)
            done.append(mutate.__name__)
        if dice.random() < 0.1:
            other = dice.choice(list(self.seeds))
            content = spliced(content, self.seeds[other], dice)
            done.append(f"spliced with {other}")
        return Mutant(", ".join(done), content)


def seeds() -> dict[str, bytes]:
    """Real speech in every container and codec that is read."""
    speech = recordings()[0].waveform()[:16_000]
    made = {path.name: path.read_bytes() for path in (ASSETS / "browser").iterdir()}
    made["librivox.flac"] = next((ASSETS / "speech").glob("*.flac")).read_bytes()
    made["kokoro.opus"] = next((ASSETS / "speech").glob("*.opus")).read_bytes()
    for subtype in ("PCM_U8", "PCM_16", "PCM_24", "FLOAT", "DOUBLE", "ULAW", "IMA_ADPCM", "GSM610"):
        made[f"{subtype}.wav"] = wav(speech[::2] if subtype == "GSM610" else speech, 8000, subtype)
    for container in ("AIFF", "AU", "CAF", "W64", "RF64", "WAVEX"):
        made[container] = wav(speech, container=container)
    made["vorbis.ogg"] = wav(speech, subtype="VORBIS", container="OGG")
    for container, codec in (
        ("flac", "flac"),
        ("mp3", "libmp3lame"),
        ("ogg", "libopus"),
        ("webm", "libopus"),
        ("matroska", "pcm_s16le"),
        ("matroska", "flac"),
        ("mp4", "aac"),
        ("mp4", "alac"),
        ("mov", "pcm_s16be"),
        ("adts", "aac"),
        ("3gp", "aac"),
    ):
        made[f"{codec}.{container}"] = encode(speech, container, codec, rate_hz=48_000)
    return made


def bombs() -> dict[str, bytes]:
    """A few megabytes that unfold into hours."""
    minute = np.zeros(60 * 8000, np.float32)
    opus = encode(np.zeros(48_000 * 600, np.float32), "ogg", "libopus", rate_hz=48_000)
    mp3 = encode(minute, "mp3", "libmp3lame", rate_hz=8000)
    flac = wav(np.zeros(HOURS_S * 4000, np.int16), 4000, container="FLAC")
    return {
        "six hours of mp3": mp3 * (HOURS_S // 60),
        "six hours of flac": flac,
        "opus, chained": opus * (HOURS_S // 600),
        "a wav of zeros": _forged_wav(192_000, 16, 16, bytes(64 << 20)),
    }


def flipped(content: bytes, dice: Dice) -> bytes:
    mutant = bytearray(content)
    reach = len(mutant) if dice.random() < 0.5 else min(len(mutant), HEADER_BYTES)
    for _ in range(dice.choice((1, 2, 8, 64)) if reach else 0):
        mutant[dice.randrange(reach)] ^= 1 << dice.randrange(8)
    return bytes(mutant)


def truncated(content: bytes, dice: Dice) -> bytes:
    return content[: dice.randrange(len(content) + 1)]


def beheaded(content: bytes, dice: Dice) -> bytes:
    return content[dice.randrange(min(len(content), HEADER_BYTES) + 1) :]


def lying(content: bytes, dice: Dice) -> bytes:
    """Numbers of the header at their extremes."""
    mutant = bytearray(content)
    for _ in range(dice.choice((1, 2, 4))):
        place = dice.randrange(min(len(mutant), HEADER_BYTES) + 1)
        lie = dice.choice(EXTREMES)[: dice.choice((1, 2, 4))]
        mutant[place : place + len(lie)] = lie
    return bytes(mutant)


def shuffled(content: bytes, dice: Dice) -> bytes:
    """A span moved, doubled or removed."""
    first, second = sorted(dice.randrange(len(content) + 1) for _ in range(2))
    doubled = content[:second] + content[first:second][:4096] + content[first:]
    return dice.choice((content[:first] + content[second:], doubled))


def noisy(content: bytes, dice: Dice) -> bytes:
    """A stretch of noise in the middle."""
    first = dice.randrange(len(content) + 1)
    noise = dice.randbytes(dice.choice((4, 64, 1024)))
    return content[:first] + noise + content[first + len(noise) :]


def padded(content: bytes, dice: Dice) -> bytes:
    extra = dice.choice((bytes(70_000), b"\xff" * 5000, b"ID3\x04\0\0\x7f\x7f\x7f\x7f", b"TAG"))
    return dice.choice((content + extra, extra + content))


def spliced(content: bytes, other: bytes, dice: Dice) -> bytes:
    """The head of one with the tail of another, or one inside the other."""
    cut = dice.randrange(len(content) + 1)
    if dice.random() < 0.5:
        return content[:cut] + other[dice.randrange(len(other) + 1) :]
    return content[:cut] + other + content[cut:]


def forged_wav(dice: Dice) -> bytes:
    """Rates, channels and depths that nothing has."""
    samples = dice.randbytes(dice.choice((0, 1, 2, 319, 4000, 64_000)))
    rate_hz, channels = dice.choice((*RATES_HZ, 16_000)), dice.choice((*CHANNELS, 1))
    content = _forged_wav(rate_hz, channels, dice.choice((0, 1, 8, 16, 24, 32, 64, 255)), samples)
    return lying(content, dice) if dice.random() < 0.3 else content


def forged_flac(dice: Dice) -> bytes:
    """A STREAMINFO whose rate, channels and length are drawn."""
    content = bytearray(wav(np.zeros(4000, np.float32), container="FLAC"))
    content[18:26] = struct.pack(">Q", dice.getrandbits(64))
    return bytes(content)


def odd_floats(dice: Dice) -> bytes:
    """NaN, infinite and enormous samples."""
    samples = np.zeros(dice.choice((1, 400, 16_000)), np.float64)
    for value in (np.nan, np.inf, -np.inf, 1e30, 101.0, 5e-324):
        if dice.random() < 0.4:
            samples[dice.randrange(samples.size)] = value
    return wav(samples, subtype=dice.choice(("FLOAT", "DOUBLE")))


def very_short(dice: Dice) -> bytes:
    samples = np.full(dice.choice((1, 2, 319, 320, 399, 400, 401)), 0.1, np.float32)
    return wav(samples, dice.choice((8000, 16_000, 44_100)))


def nothing_much(dice: Dice) -> bytes:
    """Nothing, a byte, or a header alone."""
    return dice.choice(MAGIC)


def six_hours_promised(dice: Dice) -> bytes:
    """A header that tells of hours, and little behind it."""
    data_bytes = dice.choice((HOURS_S * 32_000, 0x7FFF_FFFE, 0xFFFF_FFFF, 0))
    return _forged_wav(16_000, 1, 16, dice.randbytes(1000), data_bytes)


def nested(dice: Dice) -> bytes:
    """Containers within containers."""
    content = dice.randbytes(100)
    for _ in range(dice.choice((1, 10, 500))):
        size = struct.pack(">I", min(len(content) + 8, 2**32 - 1))
        kind = dice.choice((b"moov", b"trak", b"RIFF", b"LIST", b"udta"))
        is_riff = kind in (b"RIFF", b"LIST")
        content = kind + size[::-1] + content if is_riff else size + kind + content
    magic = dice.choice((b"RIFF\xff\xff\xff\xffWAVE", b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom", b""))
    return magic + content


def other_formats(dice: Dice) -> bytes:
    """Playlists, archives, documents: what would make a decoder open something else."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr("a.wav", wav(np.zeros(400, np.float32)))
    return dice.choice(
        (
            b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n",
            b"ffconcat version 1.0\nfile /etc/passwd\n",
            b"v=0\no=- 0 0 IN IP4 127.0.0.1\nm=audio 9 RTP/AVP 0\n",
            b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><a>&b;</a>",
            gzip.compress(wav(np.zeros(4000, np.float32))),
            archive.getvalue(),
            dice.randbytes(dice.choice((1, 100, 5000))),
        )
    )


def _forged_wav(
    rate_hz: int, channels: int, bits: int, samples: bytes, data_bytes: int | None = None
) -> bytes:
    block = channels * bits // 8 & 0xFFFF
    head = struct.pack(
        "<HHIIHH", 1, channels, rate_hz, (rate_hz * block) & 0xFFFF_FFFF, block, bits
    )
    size = len(samples) if data_bytes is None else data_bytes
    return b"".join(
        (
            b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0",
            head,
            b"data",
            struct.pack("<I", size),
            samples,
        )
    )


MUTATIONS: tuple[Mutate, ...] = (flipped, truncated, beheaded, lying, shuffled, noisy, padded)
INVENTIONS: tuple[Callable[[Dice], bytes], ...] = (
    forged_wav,
    forged_flac,
    odd_floats,
    very_short,
    nothing_much,
    six_hours_promised,
    nested,
    other_formats,
)
