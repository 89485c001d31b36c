"""WAV clips of given lengths, 16 kHz and 16 bit, cut from the test recordings."""

import json
import math
import random
from itertools import cycle
from pathlib import Path

import numpy as np
import soundfile

from service.arrays import FloatArray
from service.audio import SAMPLE_RATE_HZ, decode_audio
from tests.benchmarks import options

SPEECH = options.ROOT / "tests" / "assets" / "speech"
SHORTEST_S, LONGEST_S = 1.0, 30.0


def mixed_clips(count: int, seed: int = 0) -> Path:
    """Folder of clips whose lengths are drawn log-uniformly from 1 to 30 s, mean about 8.5 s."""
    draw = random.Random(seed)
    exponents = [draw.uniform(math.log(SHORTEST_S), math.log(LONGEST_S)) for _ in range(count)]
    return _folder(f"mixed-{count}-{seed}", [math.exp(one) for one in exponents])


def one_clip(seconds: float) -> Path:
    """Folder of one clip."""
    return _folder(f"one-{seconds:g}", [seconds])


def paths_of(folder: Path) -> list[Path]:
    """The clips of a folder, in a fixed order."""
    return sorted(folder.glob("*.wav"))


def speech(seconds: float, offset_s: float = 0.0) -> FloatArray:
    """Waveform `[samples]`: the test recordings, again and again, from an offset on."""
    rows = map(json.loads, (SPEECH / "manifest.jsonl").read_text().splitlines())
    once = np.concatenate([decode_audio(SPEECH / row["audio"]) for row in rows])
    start = int(offset_s * SAMPLE_RATE_HZ) % once.size
    return np.resize(np.roll(once, -start), int(seconds * SAMPLE_RATE_HZ))


def _folder(name: str, lengths_s: list[float]) -> Path:
    folder = options.CACHE / "clips" / name
    folder.mkdir(parents=True, exist_ok=True)
    for number, (seconds, offset_s) in enumerate(zip(lengths_s, cycle(range(0, 60, 7)))):
        path = folder / f"{number:04}.wav"
        if not path.is_file():
            soundfile.write(path, speech(seconds, offset_s), SAMPLE_RATE_HZ, subtype="PCM_16")
    return folder
