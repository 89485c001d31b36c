"""What a form of OpenAI's transcription API asks for.

Fields that are not named here are ignored, `temperature` among them: nothing here is drawn by lot.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Self, TypeVar, get_args

from service import options
from service.errors import InvalidRequest, ModelNotFound
from service.offers import Offers
from service.options import Options
from service.protocols.prompts import hot_words_of

ResponseFormat = Literal["json", "text", "srt", "vtt", "verbose_json"]
Granularity = Literal["word", "segment"]
Choice = TypeVar("Choice", bound=str)

GRANULARITY_FIELDS = ("timestamp_granularities[]", "timestamp_granularities")
KEYWORD_FIELDS = ("keywords[]", "keywords")
FIELDS = (
    *options.FIELDS,
    *GRANULARITY_FIELDS,
    *KEYWORD_FIELDS,
    "prompt",
    "response_format",
    "stream",
)
FORMATS: tuple[ResponseFormat, ...] = get_args(ResponseFormat)
GRANULARITIES: tuple[Granularity, ...] = get_args(Granularity)
STREAMED_FORMATS: tuple[ResponseFormat, ...] = ("json", "text")
# Clients that know no other names mean what is served; as do those of any date behind these.
OPENAI_MODELS = ("whisper-1", "gpt-transcribe", "gpt-4o-transcribe", "gpt-4o-mini-transcribe")


@dataclass(frozen=True)
class Asked:
    """How a file shall be transcribed and told.

    Attributes:
        options: for the transcriber.
        hints: words to expect, as far as they can be had.
        response_format: of the answer.
        granularities: what has times in `verbose_json`.
        is_stream: whether text is told as it is recognised.
    """

    options: Options
    hints: tuple[str, ...]
    response_format: ResponseFormat
    granularities: frozenset[Granularity]
    is_stream: bool

    @classmethod
    def of(cls, fields: Mapping[str, str], offers: Offers) -> Self:
        """Read the text fields of a form; an empty one is as good as none.

        Args:
            fields: those of `FIELDS` that came.
            offers: what is served; of its languages `en-US` finds `en`.

        Raises:
            ModelNotFound: the model is neither served nor one of OpenAI's.
            InvalidRequest: a value is none of those there are, or goes with no other.
        """
        model = named_model(fields.get("model", ""), offers)
        response_format = _choice("response_format", fields, FORMATS) or "json"
        is_stream = fields.get("stream", "").lower() in {"true", "1"}
        if is_stream and response_format not in STREAMED_FORMATS:
            raise _refused(
                "response_format", response_format, STREAMED_FORMATS, " with stream=true"
            )
        language = offers.meant(fields.get("language", ""), model)
        return cls(
            Options.of({**fields, "model": model, "language": language}),
            tuple(_lines(fields, KEYWORD_FIELDS)) + hot_words_of(fields.get("prompt", "")),
            response_format,
            _granularities(fields),
            is_stream,
        )


def named_model(asked: str, offers: Offers) -> str | None:
    """The name of a model that is served; None for OpenAI's names, which leave it to the language.

    Raises:
        ModelNotFound: it is neither; naming what there is.
    """
    if asked in offers.names:
        return asked
    if asked and not _is_openai_model(asked):
        raise ModelNotFound(
            f"there is no model {asked!r}, only {', '.join(map(repr, offers.names))}; whisper-1 "
            f"and other names of OpenAI's mean {offers.default.name!r}",
            found=asked,
            limit=[*offers.names, *OPENAI_MODELS],
            param="model",
        )
    return None


def _is_openai_model(asked: str) -> bool:
    return any(re.fullmatch(rf"{name}(-\d{{4}}-\d\d-\d\d)?", asked) for name in OPENAI_MODELS)


def _granularities(fields: Mapping[str, str]) -> frozenset[Granularity]:
    found = [
        _checked("timestamp_granularities[]", value, GRANULARITIES)
        for line in _lines(fields, GRANULARITY_FIELDS)
        for value in line.replace(",", " ").split()
    ]
    return frozenset(found or GRANULARITIES[-1:])


def _lines(fields: Mapping[str, str], names: Iterable[str]) -> list[str]:
    lines = (line.strip() for name in names for line in fields.get(name, "").splitlines())
    return [line for line in lines if line]


def _choice(param: str, fields: Mapping[str, str], there: tuple[Choice, ...]) -> Choice | None:
    found = fields.get(param, "")
    return _checked(param, found, there) if found else None


def _checked(param: str, found: str, there: tuple[Choice, ...]) -> Choice:
    for choice in there:
        if found == choice:
            return choice
    raise _refused(param, found, there)


def _refused(param: str, found: str, there: Sequence[str], where: str = "") -> InvalidRequest:
    return InvalidRequest(
        f"there is no {param} {found!r}{where}, only {', '.join(there)}",
        found=found,
        limit=list(there),
        param=param,
    )
