"""Words as subtitles, SRT or WebVTT; pure functions.

    words -> phrases, cut at pauses and by what a cue can hold -> cues -> text

A phrase is cut where people pause for long; where it would not fit a cue, behind the end of a
sentence or clause, or else at the longest pause of its second half. A cue then stays on the screen
into the pause behind it, as long as reading it takes. Times are whole milliseconds.
"""

import html
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from service.ctc import Word

MAX_LINE_CHARACTERS = 42
MAX_LINES = 2
MAX_CUE_S = 7.0
MIN_CUE_S = 1.0
PAUSE_S = 0.8  # ends a phrase however short: a cue of it has room for most of its second
READ_CHARACTERS_PER_S = 17
SENTENCE_ENDS = (".", "?", "!", "…", "。", "？", "！", "।", "؟")  # noqa: RUF001
CLAUSE_ENDS = (",", ";", ":", "、", "，", "；", "،")  # noqa: RUF001

Phrase = Sequence[Word]


@dataclass(frozen=True)
class Cue:
    """What stands on the screen for a while.

    Attributes:
        start_ms: when it appears, from the beginning of the audio.
        end_ms: when it goes; after `start_ms`, at most the next one's `start_ms`.
        lines: one or two; only a word that is longer than a line makes a longer one.
    """

    start_ms: int
    end_ms: int
    lines: tuple[str, ...]


def phrases(words: Sequence[Word]) -> Iterator[Phrase]:
    """Cut words into what a cue can hold; every word is in one phrase, in order.

    Args:
        words: in the order of their starts.
    """
    for run in _runs(words):
        first = 0
        while first < len(run):
            end = _phrase_end(run, first)
            yield run[first:end]
            first = end


def cues(words: Sequence[Word], duration_s: float) -> list[Cue]:
    """The cues of a transcript.

    Args:
        words: in the order of their starts.
        duration_s: length of the audio; no cue is kept on the screen beyond it.
    """
    spoken = list(phrases(words))
    starts_s = [*(phrase[0].start_s for phrase in spoken[1:]), duration_s]
    made: list[Cue] = []
    for phrase, next_start_s in zip(spoken, starts_s, strict=False):
        earliest_ms = made[-1].end_ms if made else 0
        made.append(_cue(phrase, next_start_s, earliest_ms))
    return made


def srt(words: Sequence[Word], duration_s: float) -> str:
    """A SubRip file; empty without words."""
    return "".join(
        f"{number}\n{_times(cue, ',')}\n{_text(cue, str)}\n\n"
        for number, cue in enumerate(cues(words, duration_s), start=1)
    )


def vtt(words: Sequence[Word], duration_s: float) -> str:
    """A WebVTT file; a header alone without words."""
    blocks = (f"{_times(cue, '.')}\n{_text(cue, _escaped)}\n\n" for cue in cues(words, duration_s))
    return "WEBVTT\n\n" + "".join(blocks)


def text_of(phrase: Phrase) -> str:
    """What is said, with single spaces."""
    return " ".join(word.word for word in phrase)


def _runs(words: Sequence[Word]) -> Iterator[Phrase]:
    """Words between long pauses."""
    edges = [
        place
        for place, (left, right) in enumerate(pairwise(words), start=1)
        if right.start_s - left.end_s >= PAUSE_S
    ]
    for first, end in pairwise([0, *edges, len(words)]):
        if first < end:
            yield words[first:end]


def _phrase_end(run: Phrase, first: int) -> int:
    """Index behind the last word of the phrase that begins at `first`."""
    fitting = _fitting(run, first)
    if fitting == len(run):
        return fitting
    earliest = first + (fitting - first + 1) // 2
    return max(range(earliest, fitting + 1), key=lambda end: _cut_quality(run, end))


def _fitting(run: Phrase, first: int) -> int:
    """Index behind the last word that still fits a cue together with those from `first`."""
    lines, used = 1, len(run[first].word)
    for place in range(first + 1, len(run)):
        word = run[place]
        used += 1 + len(word.word)
        if used > MAX_LINE_CHARACTERS:
            lines, used = lines + 1, len(word.word)
        if lines > MAX_LINES or word.end_s - run[first].start_s > MAX_CUE_S:
            return place
    return len(run)


def _cut_quality(run: Phrase, end: int) -> tuple[int, float, int]:
    """How well a phrase ends before the word at `end`; of equals, the later is better."""
    last = run[end - 1]
    mark = 2 if last.word.endswith(SENTENCE_ENDS) else int(last.word.endswith(CLAUSE_ENDS))
    is_lonely_rest = end == len(run) - 1  # a last word on its own would hardly be seen
    return mark - 3 * is_lonely_rest, run[end].start_s - last.end_s, end


def _cue(phrase: Phrase, next_start_s: float, earliest_ms: int) -> Cue:
    text = text_of(phrase)
    start_ms = max(round(phrase[0].start_s * 1000), earliest_ms)
    spoken_ms = round(max(word.end_s for word in phrase) * 1000) - start_ms
    wanted_ms = max(spoken_ms, round(len(text) / READ_CHARACTERS_PER_S * 1000), _ms(MIN_CUE_S))
    # A phrase that overlaps the next one, as none of ours does, gives way to it.
    room_ms = round(next_start_s * 1000) - start_ms
    length_ms = max(1, min(wanted_ms, room_ms, _ms(MAX_CUE_S)))
    return Cue(start_ms, start_ms + length_ms, _lines(phrase))


def _lines(phrase: Phrase) -> tuple[str, ...]:
    """One line if it fits, else two of lengths as equal as can be."""
    text = text_of(phrase)
    if len(text) <= MAX_LINE_CHARACTERS or len(phrase) == 1:
        return (text,)
    splits = ((text_of(phrase[:cut]), text_of(phrase[cut:])) for cut in range(1, len(phrase)))
    return min(splits, key=lambda lines: max(map(len, lines)))


def _times(cue: Cue, point: str) -> str:
    return f"{_time(cue.start_ms, point)} --> {_time(cue.end_ms, point)}"


def _time(time_ms: int, point: str) -> str:
    seconds, milliseconds = divmod(time_ms, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}{point}{milliseconds:03}"


def _text(cue: Cue, escape: Callable[[str], str]) -> str:
    return "\n".join(map(escape, cue.lines))


def _escaped(line: str) -> str:
    return html.escape(line, quote=False)


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
