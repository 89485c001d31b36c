from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from model_export.bases.files import digest_of_base
from model_export.checkpoint import ModelSpec
from model_export.data import Clip, Corpus
from model_export.transcripts.normalisation import make_vocabulary
from service.bundle import TextNormalisation

torch.set_num_threads(1)  # the tensors are tiny; threads would only wait for each other

LETTER_SAMPLES = 2400
TONES_HZ = {"a": 300, "b": 900, "c": 2700, " ": 0}


@pytest.fixture(scope="session")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """Twelve clips of about a second in which each letter is a tone in noise."""
    folder = tmp_path_factory.mktemp("spoken")
    generator = np.random.default_rng(0)
    clips = []
    for number in range(12):
        letters = generator.choice(list("abc"), 5 + number % 3)
        text = "".join(letters[:3]) + " " + "".join(letters[3:])
        path = folder / f"{number}.wav"
        soundfile.write(path, _tones(text, generator), 16000)
        clips.append(Clip(path, text, None))
    return Corpus(tuple(clips), ())


@pytest.fixture(scope="session")
def spec(whisper_base: Path, spoken: Corpus) -> ModelSpec:
    """WSM in the upper of the two layers of the tiny Whisper."""
    return ModelSpec(
        base=str(whisper_base),
        base_digest=digest_of_base(whisper_base),
        languages=("en",),
        layers=(1,),
        mixer="wsm",
        window_frames=3,
        also_train=(),
        vocabulary=make_vocabulary(clip.text for clip in spoken.clips),
        text_normalisation=TextNormalisation(),
        data=("spoken.jsonl",),
    )


@pytest.fixture(scope="session")
def streaming_spec(spec: ModelSpec) -> ModelSpec:
    """WSM everywhere, in three layers, all of which learns with the stem; in chunks of 8."""
    changes = {
        "added_layers": 1,
        "layers": (0, 1, 2),
        "window_weights": "learned",
        "chunk_frames": 8,
        "also_train": ("all",),
    }
    return spec.model_copy(update=changes)


def _tones(text: str, generator: np.random.Generator) -> np.ndarray:
    seconds = np.arange(LETTER_SAMPLES) / 16000
    parts = [0.3 * np.sin(2 * np.pi * TONES_HZ[letter] * seconds) for letter in text]
    waveform = np.concatenate(parts)
    return waveform + 0.01 * generator.standard_normal(len(waveform))
