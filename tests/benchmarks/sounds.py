"""Sounds without a word: noise of several colours, tones, hum, clicks; and music from a package."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from service.arrays import FloatArray
from service.audio import SAMPLE_RATE_HZ, decode_audio

SLOPES_DB = {"white": 0.0, "pink": -3.0, "brown": -6.0, "blue": 3.0}  # per octave
NOISE_LEVELS_DB = (-50, -40, -30, -20, -10)
SECONDS = (3.0, 20.0)
A_HZ, HUM_HZ = 440.0, 50.0
KEYS_HZ = ((697, 1209), (770, 1336), (852, 1477), (941, 1336))
MUSIC_SUFFIXES = {".wav", ".ogg", ".mp3", ".flac", ".opus"}


def noise(colour: str, samples: int, level_db: float, seed: int = 0) -> FloatArray:
    """Noise `[samples]` whose spectrum falls or rises by so many dB an octave.

    Args:
        colour: of `SLOPES_DB`.
        samples: how many.
        level_db: root mean square, of full scale.
        seed: of the noise.
    """
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(samples))
    hertz = np.fft.rfftfreq(samples, 1 / SAMPLE_RATE_HZ)
    gains_db = SLOPES_DB[colour] * np.log2(np.maximum(hertz, 20.0) / 1000)
    spectrum *= 10 ** (gains_db / 20) * (hertz > 0)
    return at_level(np.fft.irfft(spectrum, samples), level_db)


def at_level(waveform: FloatArray, level_db: float) -> FloatArray:
    """The same sound `[samples]` with a given root mean square, clipped at full scale."""
    scaled = waveform * (10 ** (level_db / 20) / np.sqrt(np.mean(np.square(waveform)) + 1e-20))
    return np.clip(scaled, -1, 1).astype(np.float32)


def sounds(seconds: float) -> Iterator[tuple[str, FloatArray]]:
    """All kinds of sound, each with its name and level."""
    samples = int(seconds * SAMPLE_RATE_HZ)
    for level_db in NOISE_LEVELS_DB:
        for colour in SLOPES_DB:
            yield f"{colour} noise, {level_db} dB", noise(colour, samples, level_db)
        for name, waveform in tones(samples).items():
            yield f"{name}, {level_db} dB", at_level(waveform, level_db)


def tones(samples: int) -> dict[str, FloatArray]:
    """Sounds that are no noise, each `[samples]`."""
    time_s = np.arange(samples) / SAMPLE_RATE_HZ

    def sine(hertz: float) -> FloatArray:
        return np.sin(2 * np.pi * hertz * time_s)

    second = (time_s * 2).astype(int)
    generator = np.random.default_rng(0)
    clicks = np.zeros(samples)
    clicks[generator.integers(samples, size=samples // (SAMPLE_RATE_HZ // 4))] = 1.0
    keys = np.stack([sine(low) + sine(high) for low, high in KEYS_HZ])
    is_pressed = (time_s * 10).astype(int) % 5 < 2
    return {
        "tone": sine(A_HZ),
        "chord": sum(sine(A_HZ * ratio) for ratio in (1, 5 / 4, 3 / 2)),
        "melody": np.choose(second % 4, [sine(A_HZ * ratio) for ratio in (1, 9 / 8, 5 / 4, 3 / 2)]),
        "hum": sum(sine(HUM_HZ * n) / n for n in range(1, 8)),
        "clicks": clicks,
        "telephone keys": np.choose((time_s * 2).astype(int) % 4, keys) * is_pressed,
        "sweep": np.sin(2 * np.pi * (100 + 150 * (time_s % 20)) * (time_s % 20)),
    }


def music(folder: Path) -> Iterator[tuple[str, FloatArray]]:
    """All pieces in a folder, each with its name."""
    for path in sorted(folder.rglob("*")):
        if path.suffix in MUSIC_SUFFIXES and path.is_file():
            yield path.stem, decode_audio(path)
