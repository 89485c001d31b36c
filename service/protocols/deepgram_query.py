"""What a client of Deepgram's live API asks for in its query.

What is not had here, such as punctuation, is ignored, unless the answer would mean something else:
then it is refused. The names of its models mean whatever model is served.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from service.errors import InvalidRequest
from service.offers import Offers
from service.options import Options
from service.streaming.sources import AudioFormat, Encoding
from service.streaming.streams import Wish

ENCODINGS: dict[str, Encoding] = {
    "": "container",
    "linear16": "pcm_s16le",
    "linear32": "f32le",
    "mulaw": "mulaw",
    "alaw": "alaw",
    "ogg-opus": "container",
    "flac": "container",
}
# The first parts of names such as nova-3-medical; `base` and `general` are from its second version.
DEEPGRAM_MODELS = re.compile(
    r"(2|automotive|base|conversationalai|drivethru|enhanced|finance|flux|general|medical|meeting"
    r"|nova|phonecall|video|voicemail|whisper)(-.*)?"
)


class Query(Protocol):
    """Query parameters, which may come several times."""

    def get(self, key: str, default: str, /) -> str:
        """The last value of this name."""
        ...

    def getlist(self, key: str, /) -> Sequence[str]:
        """All values of this name."""
        ...


@dataclass(frozen=True)
class Listening:
    """What the query asks for.

    Attributes:
        wish: of the stream.
        vad_events: tell when a sound begins.
    """

    wish: Wish
    vad_events: bool

    @classmethod
    def of(cls, query: Query, *, silence_s: float, offers: Offers) -> "Listening":
        """Read the query.

        Args:
            query: of the request.
            silence_s: what ends an utterance where the query does not say.
            offers: what is served; of its languages `en-US` finds `en`.

        Raises:
            InvalidRequest: a value cannot be read, or promises what is not had.
        """
        channels = _number(query, "channels", 1)
        if channels > 1 and _is_true(query, "multichannel"):
            raise _refused("multichannel", "true", "channels are averaged, not told apart")
        encoding = query.get("encoding", "")
        if encoding not in ENCODINGS:
            raise _refused("encoding", encoding, f"there is {', '.join(filter(None, ENCODINGS))}")
        rate_hz = _number(query, "sample_rate", 8000 if encoding.endswith("law") else 16_000)
        utterance_end_ms = _number(query, "utterance_end_ms", 0)
        wish = Wish(
            AudioFormat(ENCODINGS[encoding], rate_hz, channels),
            Options.of(
                {
                    "model": _model(query.get("model", ""), offers),
                    "language": _language(query.get("language", ""), offers),
                    "hot_words": ",".join(query.getlist("keyterm")),
                }
            ),
            interim=_is_true(query, "interim_results"),
            silence_s=_silence_s(query, silence_s),
            utterance_end_s=utterance_end_ms / 1000 if utterance_end_ms else None,
        )
        return cls(wish, _is_true(query, "vad_events"))


def _model(asked: str, offers: Offers) -> str | None:
    """A name that is not Deepgram's; what is not served is left to be refused."""
    is_theirs = asked not in offers.names and DEEPGRAM_MODELS.fullmatch(asked)
    return None if is_theirs else asked or None


def _language(asked: str, offers: Offers) -> str | None:
    """The served language that is meant; what is not served is left to be refused."""
    return None if asked == "multi" else offers.meant(asked)


def _silence_s(query: Query, usual_s: float) -> float | None:
    match query.get("endpointing", "").lower():
        case "" | "true":
            return usual_s
        case "false":
            return None
        case _:
            return _number(query, "endpointing", 0) / 1000


def _number(query: Query, name: str, default: int) -> int:
    text = query.get(name, "")
    if not text:
        return default
    if not text.isdecimal() or len(text) > 9:
        raise _refused(name, text, "it must be a whole number")
    return int(text)


def _is_true(query: Query, name: str) -> bool:
    return query.get(name, "").lower() == "true"


def _refused(param: str, found: str, why: str) -> InvalidRequest:
    return InvalidRequest(f"{param} is {found!r}: {why}", found=found, param=param)
