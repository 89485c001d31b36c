"""What a stream stands on: the parts of one loaded model."""

from dataclasses import dataclass

from service.arrays import FloatArray
from service.batcher import Batcher, Lane
from service.bundle import Manifest
from service.reading import Reader
from service.streaming.chunk_loop import ChunkLoop
from service.streaming.recogniser import Kind
from service.transcriber import Transcriber


@dataclass(frozen=True)
class Engine:
    """One model, for streams.

    Attributes:
        manifest: of its bundle.
        batcher: hears windows, where there is no streaming graph.
        transcriber: checks options, and has the threads.
        reader: of the bundle.
        chunks: runs the streaming graph; None if there is none.
    """

    manifest: Manifest
    batcher: Batcher
    transcriber: Transcriber
    reader: Reader
    chunks: ChunkLoop | None = None

    @property
    def takes_hot_words(self) -> bool:
        """Whether hot words can be made likelier."""
        return "beam" in self.reader.decodings

    @property
    def kind(self) -> Kind:
        """How streams are recognised."""
        return Kind.WINDOWED if self.chunks is None else Kind.INCREMENTAL

    async def infer(self, waveform: FloatArray) -> FloatArray:
        """Logits `[frames, vocab]` of a window `[samples]`, before all that is not live."""
        return (await self.batcher.submit(waveform, lane=Lane.LIVE)).logits

    def someone_waits(self) -> bool:
        """Whether a window would have to wait for others."""
        return self.batcher.ahead_s(Lane.LIVE) > 0
