"""Sentences spoken by flite, an engine that tells when each word begins.

Its synthesiser chooses a time for every phone and then makes the sound, so the times are no
measurement but the plan. Where a word follows a pause, its sound rises 0 to 1 ms after the planned
start (median; 5 to 95 %: -36 to 16 ms; 110 words that begin with a voiced sound, voices awb and
kal16).
"""

import ctypes
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

import numpy as np
import soxr

from service.arrays import FloatArray
from service.audio import SAMPLE_RATE_HZ

WORD_START = b"R:SylStructure.daughter1.daughter1.R:Segment.p.end"
LIBRARIES = ("libflite.so.1", "libflite_cmulex.so.1", "libflite_usenglish.so.1")


class TimedWord(NamedTuple):
    """A word and when it begins, in seconds."""

    word: str
    start_s: float


class Spoken(NamedTuple):
    """A waveform `[samples]`, 16 kHz, and its words."""

    waveform: FloatArray
    words: tuple[TimedWord, ...]


class _Wave(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_char_p),
        ("rate_hz", ctypes.c_int),
        ("samples", ctypes.c_int),
        ("channels", ctypes.c_int),
        ("values", ctypes.POINTER(ctypes.c_short)),
    )


class Voice:
    """A voice of flite's, such as awb or kal16.

    Raises:
        OSError: flite or the voice is not installed; on Debian: apt install flite.
    """

    def __init__(self, name: str) -> None:
        self._flite = _library()
        register = getattr(ctypes.CDLL(f"libflite_cmu_us_{name}.so.1"), f"register_cmu_us_{name}")
        register.restype, register.argtypes = ctypes.c_void_p, [ctypes.c_char_p]
        self._voice = register(None)

    def speak(self, text: str) -> Spoken:
        """Speak a text; words have lower case and no apostrophes."""
        utterance = self._flite.flite_synth_text(text.encode("ascii", "ignore"), self._voice)
        try:
            wave = ctypes.cast(self._flite.utt_wave(utterance), ctypes.POINTER(_Wave)).contents
            values = np.ctypeslib.as_array(wave.values, (wave.samples,)).astype(np.float32) / 32768
            rate_hz = wave.rate_hz
            words = tuple(_joined(self._words(utterance)))
        finally:
            self._flite.delete_utterance(utterance)
        waveform = (
            values if rate_hz == SAMPLE_RATE_HZ else soxr.resample(values, rate_hz, SAMPLE_RATE_HZ)
        )
        return Spoken(waveform, words)

    def _words(self, utterance: int) -> Iterator[TimedWord]:
        item = self._flite.relation_head(self._flite.utt_relation(utterance, b"Word"))
        while item:
            name = self._flite.ffeature_string(item, b"name").decode()
            yield TimedWord(name, self._flite.ffeature_float(item, WORD_START))
            item = self._flite.item_next(item)


def _joined(words: Iterator[TimedWord]) -> Iterator[TimedWord]:
    """Words with their endings: flite says "aunt" and "'s"."""
    whole: TimedWord | None = None
    for word in words:
        if whole is not None and word.word.startswith("'"):
            whole = TimedWord(whole.word + word.word[1:], whole.start_s)
            continue
        if whole is not None:
            yield whole
        whole = word
    if whole is not None:
        yield whole


@cache
def _library() -> ctypes.CDLL:
    flite, *_ = (ctypes.CDLL(name, mode=ctypes.RTLD_GLOBAL) for name in LIBRARIES)
    pointer, text = ctypes.c_void_p, ctypes.c_char_p
    for name, result, arguments in (
        ("flite_synth_text", pointer, [text, pointer]),
        ("utt_relation", pointer, [pointer, text]),
        ("utt_wave", pointer, [pointer]),
        ("relation_head", pointer, [pointer]),
        ("item_next", pointer, [pointer]),
        ("ffeature_string", text, [pointer, text]),
        ("ffeature_float", ctypes.c_float, [pointer, text]),
        ("delete_utterance", None, [pointer]),
    ):
        function = getattr(flite, name)
        function.restype, function.argtypes = result, arguments
    flite.flite_init()
    return flite
