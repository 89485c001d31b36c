"""One stream as a state machine: samples and commands in, events out; no sockets, no clock.

    QUIET -- a sound --> SPEECH -- silence, finalize, or the longest utterance --> QUIET
    either -- stop --> CLOSED

In QUIET nothing is computed but the loudness of each block, however long it lasts. Audio is taken
in blocks of one size, so finals do not depend on how a client cuts it into messages; nor do they
depend on whether there was time for partials.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import replace
from enum import Enum, auto

import numpy as np

from service.arrays import FloatArray
from service.audio import SAMPLE_RATE_HZ
from service.ctc import Word
from service.errors import InvalidRequest
from service.streaming.endpointing import Endpointing
from service.streaming.events import (
    Event,
    Final,
    FinalReason,
    Partial,
    SpeechStarted,
    UtteranceEnd,
)
from service.streaming.loudness import BLOCK_S, BLOCK_SAMPLES, Loudness
from service.streaming.recogniser import Hypothesis, Recogniser, text_of

BEFORE_BLOCKS = 8  # kept from the silence before a sound: words begin softly
TURN_SAMPLES = 25 * BLOCK_SAMPLES  # after so many, others have their turn
BEHIND_S = 0.5  # with more audio than this left to hear, partials of all of it would be late


class Phase(Enum):
    """Where a stream is."""

    QUIET = auto()
    SPEECH = auto()
    CLOSED = auto()


class Session:
    """Cuts a stream into utterances and has each recognised.

    Attributes:
        phase: where it is.

    Args:
        recogniser: hears one utterance after the other.
        endpointing: what ends them.
        interim: whether partials are wanted.
    """

    def __init__(
        self, recogniser: Recogniser, endpointing: Endpointing, *, interim: bool = True
    ) -> None:
        self.phase = Phase.QUIET
        self._recogniser = recogniser
        self._endpointing = endpointing
        self._interim = interim
        self._loudness = Loudness()
        self._rest = np.empty(0, np.float32)
        self._before: deque[FloatArray] = deque(maxlen=BEFORE_BLOCKS)
        self._heard_samples = 0
        self._start_samples = 0
        self._silent_s = 0.0
        self._was_loud = False
        self._shown = ("", 0)
        self._last_word_end_s: float | None = None

    @property
    def position_s(self) -> float:
        """How much of the stream was heard."""
        return self._heard_samples / SAMPLE_RATE_HZ

    async def feed(self, samples: FloatArray) -> AsyncIterator[Event]:
        """Hear more of the stream, `[samples]` at 16 kHz.

        Raises:
            InvalidRequest: the session was stopped.
            ServiceError: it could not be recognised.
        """
        self._check_open()
        samples = np.concatenate([self._rest, samples])
        whole = samples.size - samples.size % BLOCK_SAMPLES
        self._rest = samples[whole:].copy()
        for first in range(0, whole, BLOCK_SAMPLES):
            behind_s = (samples.size - first) / SAMPLE_RATE_HZ
            async for event in self._take(
                samples[first : first + BLOCK_SAMPLES],
                wants_partial=self._interim and behind_s < BEHIND_S,
            ):
                yield event
            if first % TURN_SAMPLES == 0:
                await asyncio.sleep(0)

    async def finalize(self) -> AsyncIterator[Event]:
        """End the utterance now; there is always a final, and it may be empty."""
        async for event in self._end_by_command(FinalReason.FINALIZE):
            yield event

    async def stop(self) -> AsyncIterator[Event]:
        """End the utterance, if there is one, and the stream."""
        async for event in self._end_by_command(FinalReason.STOP):
            yield event
        self.phase = Phase.CLOSED

    async def _end_by_command(self, reason: FinalReason) -> AsyncIterator[Event]:
        self._check_open()
        rest, self._rest = self._rest, np.empty(0, np.float32)
        if rest.size:
            async for event in self._take(rest, wants_partial=False):
                yield event
        if self.phase is Phase.SPEECH:
            async for event in self._end(reason):
                yield event
        elif reason is FinalReason.FINALIZE:
            yield Final("", (), self.position_s, self.position_s, reason)

    async def _take(self, block: FloatArray, *, wants_partial: bool) -> AsyncIterator[Event]:
        self._loudness.add(block)
        self._heard_samples += block.size
        if self.phase is Phase.QUIET:
            self._before.append(block)
            if not self._loudness.is_silent:
                block = self._begin()
        if self.phase is Phase.SPEECH:
            async for event in self._hear(block, wants_partial=wants_partial):
                yield event
        if over := self._utterance_end():
            yield over

    async def _hear(self, block: FloatArray, *, wants_partial: bool) -> AsyncIterator[Event]:
        if started := self._note_loudness():
            yield started
        hypothesis = await self._recogniser.feed(block, wants_partial=wants_partial)
        if hypothesis is not None and (partial := self._partial(hypothesis)):
            yield partial
        if reason := self._reason_to_end():
            async for event in self._end(reason):
                yield event

    def _begin(self) -> FloatArray:
        """A new utterance, from the silence before the sound; its first samples."""
        samples = np.concatenate(self._before)
        self._before.clear()
        self.phase = Phase.SPEECH
        self._start_samples = self._heard_samples - samples.size
        self._silent_s, self._was_loud, self._shown = 0.0, False, ("", 0)
        return samples

    def _note_loudness(self) -> SpeechStarted | None:
        loudness = self._loudness
        if loudness.is_loud:
            self._silent_s, was_loud, self._was_loud = 0.0, self._was_loud, True
            return None if was_loud else SpeechStarted(self._start_s)
        # As long as nothing was louder, this may be speech with nothing yet to compare it with.
        self._silent_s += BLOCK_S if self._was_loud or loudness.is_silent else 0.0
        return None

    def _reason_to_end(self) -> FinalReason | None:
        """Silence behind something loud or behind words, or the longest utterance."""
        silent_s = max(self._silent_s, self._recogniser.heard_nothing_s)
        return self._endpointing.reason_to_end(self.position_s - self._start_s, silent_s)

    async def _end(self, reason: FinalReason) -> AsyncIterator[Event]:
        words = tuple(self._shifted(word) for word in await self._recogniser.finish())
        self.phase = Phase.QUIET
        was_shown = bool(self._shown[0])
        if words:
            self._last_word_end_s = words[-1].end_s
        if words or was_shown or reason is FinalReason.FINALIZE:
            yield Final(text_of(words), words, self._start_s, self.position_s, reason)

    def _partial(self, hypothesis: Hypothesis) -> Partial | None:
        """What to show, unless it is shown already."""
        shown = (hypothesis.text, hypothesis.stable_chars)
        if not self._interim or shown == self._shown:
            return None
        self._shown = shown
        words = tuple(map(self._shifted, hypothesis.words))
        return Partial(*shown, words, self._start_s, self._start_s + hypothesis.end_s)

    def _utterance_end(self) -> UtteranceEnd | None:
        wanted_s, last_s = self._endpointing.utterance_end_s, self._last_word_end_s
        is_speaking = self.phase is Phase.SPEECH and bool(self._shown[0])
        if wanted_s is None or last_s is None or is_speaking:
            return None
        if self.position_s - last_s < wanted_s:
            return None
        self._last_word_end_s = None
        return UtteranceEnd(last_s)

    @property
    def _start_s(self) -> float:
        return self._start_samples / SAMPLE_RATE_HZ

    def _shifted(self, word: Word) -> Word:
        start_s, end_s = word.start_s + self._start_s, word.end_s + self._start_s
        return replace(word, start_s=start_s, end_s=end_s)

    def _check_open(self) -> None:
        if self.phase is Phase.CLOSED:
            raise InvalidRequest("the stream was stopped, and takes nothing any more")
