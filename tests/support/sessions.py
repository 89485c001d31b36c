"""Streaming sessions without a server, on the tiny model, and what they tell."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from prometheus_client import CollectorRegistry

from service.arrays import FloatArray
from service.audio import SAMPLE_RATE_HZ
from service.backends import load_model
from service.backends.base import Tuning
from service.backends.streaming import load_streaming_model
from service.bundle import load_bundle
from service.metrics import Metrics
from service.options import Options
from service.reading import open_reader
from service.streaming.chunk_loop import ChunkLoop
from service.streaming.endpointing import Endpointing
from service.streaming.events import Event, Final, FinalReason, Partial
from service.streaming.incremental import IncrementalRecogniser
from service.streaming.session import Session
from service.streaming.speakers import Speaker, Speakers
from service.streaming.utterance_reader import UtteranceReader
from service.streaming.windowed import Window, WindowedRecogniser

ENDPOINTING = Endpointing(silence_s=0.5, longest_s=20.0)


def silence(seconds: float) -> FloatArray:
    return np.zeros(round(seconds * SAMPLE_RATE_HZ), np.float32)


class Sessions:
    """Makes sessions of both kinds that share one model each.

    Args:
        folder: a bundle with a streaming graph.
    """

    def __init__(self, folder: Path) -> None:
        self.bundle = load_bundle(folder)
        self.metrics = Metrics(CollectorRegistry())
        self.heard: list[int] = []  # samples of each window
        self._model = load_model(self.bundle, device="cpu", threads=1).model
        graph_model = load_streaming_model(
            self.bundle, device="cpu", runtime="onnxruntime", tuning=Tuning()
        )
        assert graph_model is not None
        self.chunks = ChunkLoop(graph_model, 16, self.metrics)

    def incremental(self, endpointing: Endpointing = ENDPOINTING, **options: Any) -> Session:
        graph = self.bundle.manifest.streaming
        assert graph is not None
        recogniser = IncrementalRecogniser(graph, self.chunks, self._reader(), self._speaker())
        return Session(recogniser, endpointing, **options)

    def windowed(
        self,
        endpointing: Endpointing = ENDPOINTING,
        is_busy: Callable[[], bool] = lambda: False,
        **options: Any,
    ) -> Session:
        recogniser = WindowedRecogniser(
            self._infer, self._reader(), self._speaker(), Window(), 320, is_busy=is_busy
        )
        return Session(recogniser, endpointing, **options)

    def _speaker(self) -> Speaker:
        return Speaker(Speakers(lambda is_anybody: None))

    def _reader(self) -> UtteranceReader:
        async def in_thread(function: Callable[..., Any], *args: object) -> Any:
            return function(*args)

        reader = open_reader(self.bundle)
        return UtteranceReader(self.bundle.manifest, reader, Options(), self.metrics, in_thread)

    async def _infer(self, waveform: FloatArray) -> FloatArray:
        self.heard.append(waveform.size)
        lengths = np.array([waveform.size])
        logits, frames = self._model.infer(waveform[np.newaxis], lengths)
        return logits[0, : frames[0]]


async def events_of(
    session: Session, pieces: Iterable[FloatArray], *, stop: bool = True
) -> list[Event]:
    events = [event for piece in pieces async for event in session.feed(piece)]
    if stop:
        events += [event async for event in session.stop()]
    return events


def finals(events: Iterable[Event]) -> list[Final]:
    return [event for event in events if isinstance(event, Final)]


def partials(events: Iterable[Event]) -> list[Partial]:
    return [event for event in events if isinstance(event, Partial)]


def texts(events: Iterable[Event]) -> list[tuple[str, FinalReason]]:
    return [(event.text, event.reason) for event in finals(events)]
