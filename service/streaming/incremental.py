"""Streams through a streaming graph: each chunk of audio is computed once, with a state.

Partials are read from the chunks as they come, each once; the final is read from the utterance's
logits as a whole. Both in the way that the stream asked for, but for the word that is being said:
it is shown as its best letters, until the search has made a word of it.
"""

import numpy as np

from service.arrays import FloatArray
from service.backends.base import State
from service.backends.streaming import first_state, row_samples
from service.ctc import Word
from service.lone_sounds import power_of_frames
from service.streaming.chunk_loop import ChunkLoop
from service.streaming.greedy_path import GreedyPath
from service.streaming.recogniser import Hypothesis, stable_chars
from service.streaming.speakers import Speaker
from service.streaming.utterance_reader import UtteranceReader
from service.streaming_form import Streaming


class IncrementalRecogniser:
    """One stream's utterances, one after the other.

    Args:
        graph: what the chunk loop's model takes.
        chunks: shared with all other streams.
        reader: of this stream.
        speaker: told while an utterance lasts.
    """

    def __init__(
        self, graph: Streaming, chunks: ChunkLoop, reader: UtteranceReader, speaker: Speaker
    ) -> None:
        self._graph = graph
        self._chunks = chunks
        self._reader = reader
        hop = reader.hop
        self._chunk_samples = graph.chunk_frames * hop.samples
        self._row_samples = row_samples(graph, hop.samples)
        self._speaker = speaker
        self._reset()

    def _reset(self) -> None:
        self._waiting = np.zeros(self._graph.left_context_samples, np.float32)
        self._state: State = first_state(self._graph)
        self._path = GreedyPath(self._reader.vocabulary, self._reader.hop.seconds)
        self._growing = self._reader.begin()
        self._logits: list[FloatArray] = []
        self._grown_chunks = 0
        self._power: list[FloatArray] = []
        self._computed_samples = 0
        self._speaker.end()

    @property
    def heard_nothing_s(self) -> float:
        """How long no best label was a letter, behind at least one."""
        return self._path.frames_without_letters * self._reader.hop.seconds

    async def feed(self, block: FloatArray, *, wants_partial: bool) -> Hypothesis | None:
        """Compute every chunk that is whole now; see `Recogniser`."""
        self._speaker.begin()
        self._waiting = np.concatenate([self._waiting, block])
        if self._waiting.size < self._row_samples:
            return None
        while self._waiting.size >= self._row_samples:
            await self._compute(self._waiting[: self._row_samples])
        if not wants_partial:
            return None
        return await self._hypothesis()

    async def finish(self) -> tuple[Word, ...]:
        """Compute what is left, short of a whole chunk, and read all of it."""
        try:
            while self._waiting.size > self._graph.left_context_samples:
                await self._compute(self._waiting[: self._row_samples])
            if not any(len(logits) for logits in self._logits):
                return ()
            logits, power = np.concatenate(self._logits), np.concatenate(self._power)
        finally:
            self._reset()
        return tuple(await self._reader.words(logits, power))

    def close(self) -> None:
        """The stream is over, in the middle of an utterance perhaps."""
        self._reset()

    async def _hypothesis(self) -> Hypothesis:
        heard_samples = self._computed_samples + self._graph.lookahead_samples
        heard_s = heard_samples / self._reader.hop.rate_hz
        path, growing = self._path, self._growing
        if growing is None:
            return Hypothesis(path.words, path.stable_chars, heard_s)
        logits = np.concatenate(self._logits[self._grown_chunks :])
        self._grown_chunks = len(self._logits)
        words = await self._reader.more_words(growing, logits)
        end_s = words[-1].end_s if words else 0.0
        words += tuple(word for word in path.words if word.start_s >= end_s)
        return Hypothesis(words, stable_chars(growing.settled, words), heard_s)

    async def _compute(self, row: FloatArray) -> None:
        padded = np.pad(row, (0, self._row_samples - row.size))
        result = await self._chunks.submit(padded, row.size, self._state)
        self._state = result.state
        self._logits.append(result.logits)
        self._path.add(result.logits)
        left = self._graph.left_context_samples
        chunk = padded[left : left + self._chunk_samples]
        self._power.append(power_of_frames(chunk, len(result.logits), self._reader.hop.samples))
        self._waiting = self._waiting[self._chunk_samples :]
        self._computed_samples += self._chunk_samples
