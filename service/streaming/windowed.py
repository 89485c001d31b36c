"""Streams without a streaming graph: a bounded window is heard again and again, as text is wanted.

    | committed words | 2 s of context | window: what is not committed yet |

When the window is full, its words are committed, but for those of its last seconds, which may still
change; the next window begins behind them. That depends on the audio alone. What is heard between,
for partials, changes nothing that is committed, and waits while there is no time for it: who has
too many streams for the machine gets fewer partials, not later finals.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

import numpy as np

from service.arrays import FloatArray
from service.ctc import Word
from service.lone_sounds import power_of_frames
from service.streaming.recogniser import Hypothesis, stable_chars
from service.streaming.speakers import Speaker
from service.streaming.utterance_reader import UtteranceReader

BEFORE_WORD_S = 0.2  # a word begins before its first label

Infer = Callable[[FloatArray], Awaitable[FloatArray]]


@dataclass(frozen=True)
class Window:
    """How much is heard at once, in seconds; all but the step bound it.

    Smaller windows commit sooner and cost less. On 68 s of read sentences with hardly a pause, 4 s
    with 1.5 s unsettled had no more characters wrong than 25 s (3.7 %, and 3.2 to 3.7 % between).

    Attributes:
        step_s: audio between two partials.
        full_s: uncommitted audio at which words are committed.
        unsettled_s: words that end in the last so many seconds are not committed.
        context_s: committed audio that is heard again, before the window.
    """

    step_s: float = 0.5
    full_s: float = 4.0
    unsettled_s: float = 1.5
    context_s: float = 2.0


class WindowedRecogniser:
    """One stream's utterances, one after the other.

    Args:
        infer: logits `[frames, vocab]` of a waveform `[samples]`.
        reader: of this stream.
        speaker: told while an utterance lasts.
        window: how much is heard at once.
        shortest_samples: what the model needs for a frame.
        is_busy: whether others wait for the model, so that a partial had better come later.
    """

    def __init__(
        self,
        infer: Infer,
        reader: UtteranceReader,
        speaker: Speaker,
        window: Window,
        shortest_samples: int,
        *,
        is_busy: Callable[[], bool] = lambda: False,
    ) -> None:
        self._infer = infer
        self._is_busy = is_busy
        self._reader = reader
        self._speaker = speaker
        self._window = window
        self._shortest_samples = shortest_samples
        self._rate_hz, self._hop = reader.hop.rate_hz, reader.hop.samples
        self._reset()

    def _reset(self) -> None:
        self._audio = np.empty(0, np.float32)
        self._audio_start = 0  # samples of the utterance before `_audio`
        self._cut = 0  # samples of the utterance whose words are committed
        self._committed: list[Word] = []
        self._next_partial_s = self._window.step_s
        self._full_at_s = self._window.full_s
        self._speaker.end()

    @property
    def heard_nothing_s(self) -> float:
        """Unknown: it is not always looked."""
        return 0.0

    async def feed(self, block: FloatArray, *, wants_partial: bool) -> Hypothesis | None:
        """Hear the window, if it is full or a partial is due; see `Recogniser`."""
        self._speaker.begin()
        self._audio = np.concatenate([self._audio, block])
        is_full = self._end_s >= self._full_at_s
        is_due = wants_partial and self._end_s >= self._next_partial_s - 1e-6
        if not is_full and (not is_due or self._is_busy()):
            return None
        self._next_partial_s = self._end_s + self._window.step_s
        words = await self._hear(in_haste=not is_full)
        if is_full:
            words = self._commit(words)
        shown = (*self._committed, *words)
        return Hypothesis(shown, stable_chars(self._committed, shown), self._end_s)

    async def finish(self) -> tuple[Word, ...]:
        """The committed words, and those of the last window."""
        try:
            words = await self._hear(in_haste=False) if self._end > self._cut else []
            return (*self._committed, *words)
        finally:
            self._reset()

    def close(self) -> None:
        """The stream is over, in the middle of an utterance perhaps."""
        self._reset()

    @property
    def _end(self) -> int:
        return self._audio_start + self._audio.size

    @property
    def _end_s(self) -> float:
        return self._end / self._rate_hz

    async def _hear(self, *, in_haste: bool) -> list[Word]:
        """Words behind the cut, by the utterance's time; in haste, those of a first pass."""
        waveform, end_s = self._audio, self._end_s
        padding = max(0, self._shortest_samples - waveform.size)
        logits = await self._infer(np.pad(waveform, (0, padding)))
        power = power_of_frames(waveform, len(logits), self._hop)
        first = (self._cut - self._audio_start) // self._hop
        words = await self._reader.words(logits, power, first, in_haste=in_haste)
        cut_s = self._cut / self._rate_hz
        return [
            replace(word, start_s=word.start_s + cut_s, end_s=min(word.end_s + cut_s, end_s))
            for word in words
            if word.start_s + cut_s < end_s
        ]

    def _commit(self, words: list[Word]) -> list[Word]:
        """Commit all but the newest of these words; the rest of them."""
        latest_s = self._end_s - self._window.unsettled_s
        count = sum(word.end_s <= latest_s for word in words)
        cut_s = self._cut / self._rate_hz
        if not count and words and words[0].start_s < cut_s + BEFORE_WORD_S:
            count = 1  # a word as long as the window
        done, rest = words[:count], words[count:]
        before_s = done[-1].end_s if done else cut_s
        cut_s = max(before_s, latest_s)
        if rest and rest[0].start_s < latest_s:
            cut_s = max((before_s + rest[0].start_s) / 2, rest[0].start_s - BEFORE_WORD_S)
        self._committed += done
        self._move_to(round(cut_s * self._rate_hz) // self._hop * self._hop)
        self._full_at_s = max(cut_s + self._window.full_s, self._end_s + self._window.unsettled_s)
        return rest

    def _move_to(self, cut: int) -> None:
        """Begin the window here, behind its context, and forget what lies before."""
        self._cut = max(self._cut, cut)
        context = round(self._window.context_s * self._rate_hz) // self._hop * self._hop
        start = max(self._audio_start, self._cut - context)
        self._audio = self._audio[start - self._audio_start :].copy()
        self._audio_start = start
