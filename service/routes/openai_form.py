"""What the documentation is told of OpenAI's transcription API: the form, and examples."""

from typing import Any, get_args

from service.protocols.openai import DeltaEvent, DoneEvent, Usage
from service.protocols.openai_form import OPENAI_MODELS, Granularity, ResponseFormat
from service.routes.event_stream import MEDIA_TYPE
from service.routes.forms import AUDIO_FORM
from service.uploads import CONTENT_TYPE, MAX_TEXT_BYTES

_OURS = AUDIO_FORM["requestBody"]["content"][CONTENT_TYPE]["schema"]["properties"]
_SUBTITLES = "00:00:00{point}100 --> 00:00:01{point}100\ngood day\n\n"
_EVENTS = (
    DeltaEvent(delta="good"),
    DeltaEvent(delta=" day"),
    DoneEvent(text="good day", usage=Usage(seconds=3)),
)

FORM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            CONTENT_TYPE: {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": _OURS["file"],
                        "model": {
                            "type": "string",
                            "description": "What `GET /v1/models` lists; without it, or with a "
                            f"name of OpenAI's ({', '.join(OPENAI_MODELS)}), the one that knows "
                            "the language, or the default.",
                            "example": OPENAI_MODELS[0],
                        },
                        "language": {
                            "type": "string",
                            "description": "Code of the spoken language, one of the model's; "
                            "`en-US` counts as `en`.",
                            "example": "en",
                        },
                        "prompt": {
                            "type": "string",
                            "description": "Names and terms to expect, with commas between them; "
                            "of prose, names are taken. They become hot words where there is beam "
                            "search, as far as the model can write them, and are ignored where "
                            f"not. At most {MAX_TEXT_BYTES} bytes.",
                            "example": "Elliot, New York",
                        },
                        "keywords[]": {
                            "type": "array",
                            "items": {"type": "string"},
                            "description": "As `prompt`, one name or term each.",
                        },
                        "response_format": {
                            "type": "string",
                            "enum": list(get_args(ResponseFormat)),
                            "default": "json",
                        },
                        "timestamp_granularities[]": {
                            "type": "array",
                            "items": {"type": "string", "enum": list(get_args(Granularity))},
                            "default": ["segment"],
                            "description": "What has times in `verbose_json`; with `stream`, "
                            "`word` adds the words with theirs to each event.",
                        },
                        "stream": {
                            "type": "boolean",
                            "default": False,
                            "description": "Tell text as it is recognised, as server-sent events; "
                            "with `json` or `text`.",
                        },
                        "temperature": {
                            "type": "number",
                            "description": "Accepted and ignored, as are fields of other names.",
                        },
                        "decoding": _OURS["decoding"],
                        "hot_words": _OURS["hot_words"],
                    },
                }
            }
        },
    }
}
ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The text; subtitles are cut at pauses and by what a screen holds",
        "content": {
            "text/plain": {"example": "good day\n"},
            "application/x-subrip": {"example": "1\n" + _SUBTITLES.format(point=",")},
            "text/vtt": {"example": "WEBVTT\n\n" + _SUBTITLES.format(point=".")},
            MEDIA_TYPE: {
                "example": "".join(f"data: {event.model_dump_json()}\n\n" for event in _EVENTS)
            },
        },
    }
}
MODEL_ID = {
    "parameters": [
        {
            "name": "id",
            "in": "path",
            "required": True,
            "description": "From `GET /v1/models`, or a name of OpenAI's.",
            "schema": {"type": "string"},
            "example": OPENAI_MODELS[0],
        }
    ]
}
