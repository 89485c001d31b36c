"""What a stream tells while somebody speaks; all times in seconds from the stream's start."""

from dataclasses import dataclass
from enum import StrEnum

from service.ctc import Word


class FinalReason(StrEnum):
    """What ended an utterance."""

    SILENCE = "silence"
    LONGEST = "longest"
    FINALIZE = "finalize"
    STOP = "stop"


@dataclass(frozen=True)
class SpeechStarted:
    """Something louder than its surroundings was heard.

    Attributes:
        start_s: where the utterance begins.
    """

    start_s: float


@dataclass(frozen=True)
class Partial:
    """The utterance as far as it was heard.

    Attributes:
        text: of the whole utterance so far.
        stable_chars: so many characters of it stand in every later partial of this utterance.
        words: those of the text; their confidences may be coarse.
        start_s: where the utterance begins.
        end_s: up to where its audio was looked at.
    """

    text: str
    stable_chars: int
    words: tuple[Word, ...]
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Final:
    """An utterance that is over.

    Attributes:
        text: of this utterance only.
        words: those of the text.
        start_s: where it began.
        end_s: where it ended, the silence that ended it included.
        reason: what ended it.
    """

    text: str
    words: tuple[Word, ...]
    start_s: float
    end_s: float
    reason: FinalReason


@dataclass(frozen=True)
class UtteranceEnd:
    """Nobody has said a word for as long as was asked for.

    Attributes:
        last_word_end_s: end of the last word of the last final.
    """

    last_word_end_s: float


Event = SpeechStarted | Partial | Final | UtteranceEnd
