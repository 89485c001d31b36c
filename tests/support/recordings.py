"""The test recordings with their text, and what can be made of them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jiwer
import numpy as np

from model_export.transcripts.normalisation import normalise
from service.arrays import FloatArray
from service.audio import SAMPLE_RATE_HZ, decode_audio
from service.bundle import TextNormalisation

ASSETS = Path(__file__).parents[1] / "assets"
SPEECH = ASSETS / "speech"
PAUSE_S = 0.4


@dataclass(frozen=True)
class Recording:
    """A recording and what is said in it, normalised."""

    path: Path
    text: str

    @property
    def is_human(self) -> bool:
        """Whether a person reads; the others are synthetic."""
        return self.path.name.startswith("librivox")

    def waveform(self) -> FloatArray:
        """Samples `[samples]`, 16 kHz."""
        return decode_audio(self.path)


def recordings() -> list[Recording]:
    """All of them, in the manifest's order."""
    rows = map(json.loads, (SPEECH / "manifest.jsonl").read_text().splitlines())
    rules = TextNormalisation()
    return [Recording(SPEECH / row["audio"], normalise(row["text"], rules)) for row in rows]


def joined(waveforms: Sequence[FloatArray]) -> FloatArray:
    """One after the other, with pauses."""
    pause = np.zeros(int(PAUSE_S * SAMPLE_RATE_HZ), np.float32)
    return np.concatenate([part for waveform in waveforms for part in (waveform, pause)])


def cer(references: str | list[str], hypotheses: str | list[str]) -> float:
    """Character error rate, 1 for all wrong."""
    return float(jiwer.cer(references, hypotheses))
