"""Kokoro-82M, the natural voice among the free ones, through the package kokoro-onnx.

Nothing is downloaded: the model and its voices are files that the user names. The voices are either
one *.npz or *.bin archive, as kokoro-onnx has them, or a folder of NAME.bin, raw float32 rows of
256, as the npm package kokoro-js has them.
"""

import tempfile
import threading
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from model_export.errors import SynthesisFailed, SynthesisRefused
from service.arrays import FloatArray

STYLE_WIDTH = 256


class Kokoro:
    """An engine whose voices can be blended: `af_heart*0.6+am_eric*0.4`.

    Args:
        model: the graph.
        voices: archive or folder of the voices.
        language: as eSpeak NG calls it, such as en-us, en-gb, es or fr-fr.

    Raises:
        SynthesisRefused: the package is not installed, or the files are not what they should be.
    """

    def __init__(self, model: Path, voices: Path, language: str) -> None:
        self._language = language
        self._phonemes = threading.Lock()  # eSpeak NG inside knows one caller at a time
        try:
            # Imported here: an extra brings it, and the other engines need it not.
            from kokoro_onnx import Kokoro as Speaker
        except ImportError as error:
            raise SynthesisRefused(
                "kokoro-onnx is not installed: pip install 'wsm-stt[synthesis]'"
            ) from error
        with tempfile.TemporaryDirectory() as folder:
            archive = _archive(voices, Path(folder)) if voices.is_dir() else voices
            try:
                self._speaker = Speaker.from_session(_session(model), str(archive))
                self._voices = dict(self._speaker.voices)
            except Exception as error:
                raise SynthesisRefused(f"{model} with {voices} cannot be used: {error}") from error

    def require(self, voice: str) -> None:
        """Check that a voice, or each part of a blend, exists.

        Raises:
            SynthesisRefused: it does not.
        """
        for name, _ in parts_of(voice):
            if name not in self._voices:
                raise SynthesisRefused(
                    f"Kokoro has no voice {name!r}; there are: {', '.join(sorted(self._voices))}"
                )

    def __call__(self, text: str, voice: str, speed: float) -> tuple[FloatArray, int]:
        """Speak; see `Engine`."""
        style = sum(share * self._voices[name] for name, share in parts_of(voice))
        try:
            with self._phonemes:
                phonemes = self._speaker.tokenizer.phonemize(text, self._language)
            waveform, rate_hz = self._speaker.create(
                phonemes, voice=style, speed=speed, is_phonemes=True
            )
        except Exception as error:  # whatever the package makes of a sentence
            raise SynthesisFailed(f"Kokoro with voice {voice}: {error}") from error
        return np.asarray(waveform, dtype=np.float32), rate_hz


def parts_of(voice: str) -> list[tuple[str, float]]:
    """Names and shares of a blend; a voice alone has all."""
    parts = (part.partition("*") for part in voice.split("+"))
    return [(name, float(share) if share else 1.0) for name, _, share in parts]


def _session(model: Path) -> Any:  # noqa: ANN401
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # several sentences are spoken at once instead
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _archive(voices: Path, folder: Path) -> Path:
    archive = folder / "voices.npz"
    styles = {
        path.stem: np.fromfile(path, dtype=np.float32).reshape(-1, 1, STYLE_WIDTH)
        for path in sorted(voices.glob("*.bin"))
    }
    np.savez(archive, allow_pickle=False, **styles)
    return archive
