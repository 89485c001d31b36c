"""Speech synthesisers that are programs of the system: flite, RHVoice, SVOX Pico and eSpeak NG."""

import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from xml.sax.saxutils import escape

import soundfile

from model_export.errors import SynthesisFailed, SynthesisRefused
from service.arrays import FloatArray

LONGEST_S = 60  # for one sentence; these programs need a tenth of a second
ESPEAK_WORDS_A_MINUTE = 175


class Engine(Protocol):
    """Speaks sentences; several threads may call it at once."""

    def __call__(self, text: str, voice: str, speed: float) -> tuple[FloatArray, int]:
        """Speak.

        Args:
            text: a sentence.
            voice: one of the engine's.
            speed: how many times faster than the voice speaks by itself.

        Returns:
            A waveform `[samples]` in [-1, 1] and its sample rate in hertz.

        Raises:
            SynthesisFailed: this sentence cannot be spoken.
        """
        ...


@dataclass(frozen=True)
class Program:
    """An engine that is a program.

    Attributes:
        name: of the executable.
        packages: of Debian that bring it with its voices.
        arguments: (text, voice, speed, file to write) to arguments.
    """

    name: str
    packages: str
    arguments: Callable[[str, str, float, Path], list[str]]

    def require(self) -> None:
        """Check that it is installed.

        Raises:
            SynthesisRefused: it is not.
        """
        if shutil.which(self.name) is None:
            raise SynthesisRefused(
                f"{self.name} is not installed; on Debian: apt install {self.packages}"
            )

    def __call__(self, text: str, voice: str, speed: float) -> tuple[FloatArray, int]:
        """Speak; see `Engine`."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "spoken.wav"
            command = [self.name, *self.arguments(text, voice, speed, file)]
            try:
                subprocess.run(
                    command,
                    input=text,
                    text=True,
                    check=True,
                    timeout=LONGEST_S,
                    capture_output=True,
                )
                waveform, rate_hz = soundfile.read(file, dtype="float32")
            except (OSError, subprocess.SubprocessError, soundfile.SoundFileError) as error:
                raise SynthesisFailed(f"{self.name} with voice {voice}: {error}") from error
        return waveform, rate_hz


def _flite(text: str, voice: str, speed: float, file: Path) -> list[str]:
    stretch = f"duration_stretch={1 / speed:.3f}"
    return ["-voice", voice, "--setf", stretch, "-t", text, "-o", str(file)]


def _rhvoice(_: str, voice: str, speed: float, file: Path) -> list[str]:
    return ["-p", voice, "-r", f"{100 * speed:.0f}", "-o", str(file)]


def _pico(text: str, voice: str, speed: float, file: Path) -> list[str]:
    marked = f"<speed level='{100 * speed:.0f}'>{escape(text)}</speed>"
    return ["-l", voice, "-w", str(file), marked]


def _espeak(_: str, voice: str, speed: float, file: Path) -> list[str]:
    return ["-v", voice, "-s", f"{ESPEAK_WORDS_A_MINUTE * speed:.0f}", "-w", str(file), "--stdin"]


PROGRAMS = {
    "flite": Program("flite", "flite", _flite),
    "rhvoice": Program("RHVoice-test", "rhvoice rhvoice-english (non-free)", _rhvoice),
    "pico": Program("pico2wave", "libttspico-utils (non-free)", _pico),
    "espeak": Program("espeak-ng", "espeak-ng", _espeak),
}
