import json
from contextlib import AsyncExitStack

import pytest
from starlette.requests import ClientDisconnect

from service.errors import InferenceFailed
from service.protocols.openai import DeltaEvent
from service.routes.event_stream import EventStream

FIRST = DeltaEvent(delta="a")


async def answered(failure):
    """What is sent when the events end so, and whether what was held is left."""
    left, sent = [], []

    async def others():
        try:
            yield DeltaEvent(delta=" b")
            if failure is not None:
                raise failure
        finally:
            left.append("events")

    async def send(message):
        sent.append(message)

    held = AsyncExitStack()
    held.callback(left.append, "held")
    await EventStream(FIRST, others(), held)({}, None, send)
    assert left == ["events", "held"]
    start, *rest = sent
    assert start["status"] == 200
    return [message["body"] for message in rest], rest[-1].get("more_body", False)


def event(body):
    assert body.startswith(b"data: ")
    assert body.endswith(b"\n\n")
    return json.loads(body[6:])


async def test_events_one_after_the_other():
    (first, second, end), more = await answered(None)
    assert (event(first)["delta"], event(second)["delta"]) == ("a", " b")
    assert (end, more) == (b"", False)


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (InferenceFailed("the model failed"), "inference_failed"),
        (ZeroDivisionError("secret"), "internal_server_error"),
    ],
)
async def test_an_error_is_the_last_event(failure, code):
    (*_, last, end), more = await answered(failure)
    error = event(last)["error"]
    assert error["code"] == code
    assert "secret" not in error["message"]
    assert (end, more) == (b"", False)


async def test_a_client_that_left_is_told_nothing():
    bodies, _ = await answered(ClientDisconnect())
    assert len(bodies) == 2
