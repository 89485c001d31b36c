"""The WebSocket protocols as an AsyncAPI 3.0 document, made of the messages' own models."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic.json_schema import models_json_schema

from service.protocols import deepgram, native, vosk
from service.protocols.deepgram_query import ENCODINGS
from service.schemas import Wire

ADDRESS = "/asyncapi.json"
AUDIO = "Audio"
SCHEMAS = "#/components/schemas/"
KEY_QUERY = {
    "token": "An API key, if the server asks for one; or `access_token`. Better, since addresses "
    "are logged: the header `Authorization: Bearer KEY`, or in browsers subprotocols `token, KEY`."
}

Json = dict[str, Any]
Models = Sequence[type[Wire]]


@dataclass(frozen=True)
class Channel:
    """One WebSocket address.

    Attributes:
        name: in the document.
        address: path.
        description: what it is for.
        received: what clients send as text.
        sent: what they are told.
        query: parameters of the address, each with what it does.
    """

    name: str
    address: str
    description: str
    received: Models
    sent: Models
    query: dict[str, str] = field(default_factory=dict)


CHANNELS = (
    Channel(
        "transcribe",
        "/ws/transcribe",
        "Text while somebody speaks. `start` comes first, then audio, cut anywhere, with `finalize`"
        " and `keepalive` between; `stop` ends it. Closed with 1000 behind `done`; behind `error`"
        " with 1008 (the client is at fault), 1011 (the service is, or nobody spoke to it), or"
        " 1013 (full or draining: try elsewhere); with 1009 where a message is too big.",
        native.CLIENT_MESSAGES,
        native.SERVER_MESSAGES,
    ),
    Channel(
        "listen",
        "/v1/listen",
        "For clients of Deepgram's live API. An empty binary message ends the stream, too.",
        (deepgram.Control,),
        deepgram.SERVER_MESSAGES,
        {
            "encoding": f"One of {', '.join(filter(None, ENCODINGS))}; none: a container.",
            "sample_rate": "Of raw samples, in hertz; 16000, of mulaw and alaw 8000.",
            "channels": "Of raw samples; they are averaged.",
            "model": "Name of a model; one of Deepgram's leaves it to the language.",
            "language": "A code of a model's, with or without a region.",
            "interim_results": "true: tell what is said so far.",
            "endpointing": "Silence that ends an utterance, in ms, at least 300; false: none does.",
            "utterance_end_ms": "Tell when nobody has spoken for so long.",
            "vad_events": "true: tell when a sound begins.",
            "keyterm": "A word to expect; may come several times.",
        },
    ),
    Channel(
        "vosk",
        "/vosk",
        "For clients of vosk-server: 16-bit samples, and one answer for each binary message.",
        (vosk.VoskMessage,),
        vosk.SERVER_MESSAGES,
    ),
)


def document(version: str) -> Json:
    """The document for this release."""
    models = [model for channel in CHANNELS for model in (*channel.received, *channel.sent)]
    _, schemas = models_json_schema(
        [(model, "serialization") for model in models], ref_template=SCHEMAS + "{model}"
    )
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "wsm-stt",
            "version": version,
            "description": "Speech to text over WebSockets; for HTTP see /openapi.json.",
            "license": {
                "name": "Apache-2.0",
                "url": "https://www.apache.org/licenses/LICENSE-2.0",
            },
        },
        "defaultContentType": "application/json",
        "channels": {channel.name: _channel(channel) for channel in CHANNELS},
        "operations": {
            name: operation for channel in CHANNELS for name, operation in _operations(channel)
        },
        "components": {
            "schemas": {name: _with_type(schema) for name, schema in schemas["$defs"].items()},
            "messages": {model.__name__: _message(model) for model in models} | {AUDIO: _audio()},
        },
    }


def schema_of(channel: Channel, whole: Json) -> Json:
    """JSON schema of whatever the server may say in a channel of the whole document."""
    refs = [{"$ref": SCHEMAS + model.__name__} for model in channel.sent]
    return {"anyOf": refs, "components": whole["components"]}


def _with_type(schema: Json) -> Json:
    """A message that names its type always does."""
    if "const" not in schema.get("properties", {}).get("type", {}):
        return schema
    return schema | {"required": sorted({"type", *schema.get("required", ())})}


def _channel(channel: Channel) -> Json:
    names = [*_names((*channel.received, *channel.sent)), AUDIO]
    entry: Json = {
        "address": channel.address,
        "description": channel.description,
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in names},
    }
    properties = {
        name: {"type": "string", "description": text}
        for name, text in (channel.query | KEY_QUERY).items()
    }
    query = {"type": "object", "properties": properties}
    entry["bindings"] = {"ws": {"method": "GET", "query": query, "bindingVersion": "0.1.0"}}
    return entry


def _operations(channel: Channel) -> Iterable[tuple[str, Json]]:
    for verb, action, names in (
        ("hear", "receive", [*_names(channel.received), AUDIO]),
        ("tell", "send", _names(channel.sent)),
    ):
        path = f"#/channels/{channel.name}"
        yield (
            f"{verb}{channel.name.capitalize()}",
            {
                "action": action,
                "channel": {"$ref": path},
                "messages": [{"$ref": f"{path}/messages/{name}"} for name in names],
            },
        )


def _message(model: type[Wire]) -> Json:
    return {
        "name": model.__name__,
        "summary": (model.__doc__ or "").partition("\n")[0],
        "payload": {"$ref": SCHEMAS + model.__name__},
    }


def _audio() -> Json:
    return {
        "name": AUDIO,
        "summary": "A binary message of audio, in the encoding that was agreed on.",
        "contentType": "application/octet-stream",
        "payload": {"type": "string", "format": "binary"},
    }


def _names(models: Models) -> list[str]:
    return [model.__name__ for model in models]
