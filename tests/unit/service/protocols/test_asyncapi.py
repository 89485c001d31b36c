from jsonschema import Draft202012Validator
from pydantic_asyncapi.v3 import AsyncAPI

from service.app import create_app
from service.config import Settings
from service.protocols.asyncapi import ADDRESS, CHANNELS, document, schema_of
from service.routes import deepgram, vosk, websocket

DOCUMENT = document("1.2.3")


def test_it_is_an_asyncapi_document():
    AsyncAPI.model_validate(DOCUMENT)
    assert (DOCUMENT["asyncapi"], DOCUMENT["info"]["version"]) == ("3.0.0", "1.2.3")


def test_every_reference_leads_somewhere():
    def walk(node):
        if isinstance(node, dict):
            if isinstance(reference := node.get("$ref"), str):
                target = DOCUMENT
                for part in reference.removeprefix("#/").split("/"):
                    target = target[part]
            for child in node.values():
                walk(child)
        elif isinstance(node, list):
            for child in node:
                walk(child)

    walk(DOCUMENT)


def test_every_socket_is_described_and_the_docs_lead_there():
    app = create_app(Settings())
    routers = (websocket.router, deepgram.router, vosk.router)
    sockets = {route.path for router in routers for route in router.routes}
    assert sockets == {channel.address for channel in CHANNELS}
    assert ADDRESS in app.openapi()["info"]["description"]
    assert ADDRESS in app.openapi()["paths"]


def test_what_no_server_says_is_not_valid():
    for channel in CHANNELS:
        validator = Draft202012Validator(schema_of(channel, DOCUMENT))
        assert not validator.is_valid({"type": "hello"})
        assert not validator.is_valid({"type": "final"})
