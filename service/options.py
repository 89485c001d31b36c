"""What a request may ask for beside its audio."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Self, get_args

from service.errors import InvalidRequest

Decoding = Literal["greedy", "beam", "attention"]

FIELDS = ("language", "model", "decoding", "hot_words")
MAX_HOT_WORDS = 100
MAX_HOT_WORD_CHARACTERS = 50


@dataclass(frozen=True)
class Options:
    """How a file shall be transcribed.

    Attributes:
        language: code of what is spoken; None leaves it to the model.
        model: name that the bundle must have; None takes what is there.
        decoding: how words are found; None takes what is served by default.
        hot_words: made likelier; each one word or several with single spaces, none twice.
    """

    language: str | None = None
    model: str | None = None
    decoding: Decoding | None = None
    hot_words: tuple[str, ...] = ()

    @classmethod
    def of(cls, fields: Mapping[str, str | None]) -> Self:
        """Read the text fields of a form; an empty one is as good as none.

        Raises:
            InvalidRequest: there is no such decoding, or too many or too long hot words.
        """
        return cls(
            language=fields.get("language") or None,
            model=fields.get("model") or None,
            decoding=_decoding(fields.get("decoding") or None),
            hot_words=_hot_words(fields.get("hot_words") or ""),
        )


def _decoding(found: str | None) -> Decoding | None:
    for decoding in get_args(Decoding):
        if found == decoding:
            return decoding  # type: ignore[no-any-return]
    if found is None:
        return None
    served = get_args(Decoding)
    raise InvalidRequest(
        f"there is no decoding {found!r}, only {', '.join(served)}",
        found=found,
        limit=list(served),
        param="decoding",
    )


def _hot_words(listed: str) -> tuple[str, ...]:
    phrases = (" ".join(part.split()) for part in listed.split(","))
    hot_words = tuple(dict.fromkeys(filter(None, phrases)))
    if (found := len(hot_words)) > MAX_HOT_WORDS:
        raise InvalidRequest(
            f"{found} hot words are over the limit of {MAX_HOT_WORDS}",
            found=found,
            limit=MAX_HOT_WORDS,
            param="hot_words",
        )
    longest = max(hot_words, key=len, default="")
    if (found := len(longest)) > MAX_HOT_WORD_CHARACTERS:
        raise InvalidRequest(
            f"the hot word {longest!r} has {found} characters, the limit is "
            f"{MAX_HOT_WORD_CHARACTERS}",
            found=found,
            limit=MAX_HOT_WORD_CHARACTERS,
            param="hot_words",
        )
    return hot_words
