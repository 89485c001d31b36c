"""Keys at the doors of a real server: REST, WebSockets, metrics, and the clients people have."""

import json

import openai
import pytest
import websockets
from audio_files import wav
from deepgram import AsyncDeepgramClient
from deepgram.core.api_error import ApiError
from deepgram.environment import DeepgramClientEnvironment
from keys import make_keys
from patience import PATIENCE_S
from server_process import serving
from socket_client import pcm, streaming
from tiny_bundle import make_bundle, speak

from service.access.keys import Role
from service.app import create_app
from service.config import Settings
from service.routes.access import OPEN, role_of

GOOD = wav(speak("good morning"))
LONG = wav(speak("good morning " * 4))
SOCKETS = ("/ws/transcribe", "/v1/listen", "/vosk")
BAD_HEADERS = [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic dXNlcjpwdw=="}]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_bundle(tmp_path_factory.mktemp("bundles") / "tiny")


@pytest.fixture(scope="module")
def keys_file(tmp_path_factory):
    return tmp_path_factory.mktemp("keys") / "keys.json"


@pytest.fixture(scope="module")
def keys(keys_file):
    return make_keys(
        keys_file,
        {
            "app": {},
            "slow": {"requests_per_minute": 3},
            "short": {"audio_s_per_minute": 1},
            "jobs": {"audio_s_per_minute": 1},
            "one": {"max_streams": 1},
            "prometheus": {"roles": (Role.METRICS,)},
            "operator": {"roles": (Role.ADMIN, Role.METRICS)},
        },
    )


@pytest.fixture(scope="module")
def http(folder, keys, keys_file):
    jobs = str(keys_file.with_name("jobs"))
    with serving(folder, STT_API_KEYS_FILE=str(keys_file), STT_JOBS_DIR=jobs) as client:
        yield client


def bearer(secret):
    return {"Authorization": f"Bearer {secret}"}


def transcribe(http, secret, content=GOOD):
    return http.post("/transcribe", files={"file": content}, headers=bearer(secret))


def rejected(http, keys, reason):
    text = http.get("/metrics", headers=bearer(keys["prometheus"])).text
    (line,) = [one for one in text.splitlines() if f'rejected_total{{reason="{reason}"}}' in one]
    return float(line.split()[1])


@pytest.mark.parametrize("headers", BAD_HEADERS)
def test_nothing_but_what_is_named_is_answered_without_a_key(http, headers):
    app = create_app(Settings())
    paths = [(path, method) for path, item in app.openapi()["paths"].items() for method in item]
    assert len(paths) > 8
    for path, method in [*paths, ("/admin/anything", "post"), ("/nothing", "get")]:
        answer = http.request(method, path.replace("{id}", "x"), headers=headers)
        if path in OPEN:
            assert answer.status_code == 200, path
            continue
        assert answer.status_code == 401, path
        assert answer.headers["www-authenticate"] == "Bearer"
        error = answer.json()["error"]
        assert (error["code"], error["type"]) == ("unauthorized", "invalid_request_error")
        assert answer.headers["x-request-id"]


def test_the_documentation_tells_what_needs_a_key(http, keys):
    document = http.get("/openapi.json").json()
    assert document["components"]["securitySchemes"] == {
        "key": {"type": "http", "scheme": "bearer"}
    }
    for path, operations in document["paths"].items():
        for operation in operations.values():
            assert ("security" in operation) == (role_of(path) is not None), path
            assert ("401" in operation["responses"]) == ("security" in operation)
    assert "securitySchemes" not in create_app(Settings()).openapi()["components"]


def test_what_is_open_is_open(http):
    for path in (*OPEN, "/page/main.js", "/static-offline-docs/swagger-ui.css"):
        assert role_of(path) is None
        assert http.get(path).status_code == 200, path


@pytest.mark.parametrize("path", SOCKETS)
@pytest.mark.parametrize("headers", BAD_HEADERS)
async def test_sockets_are_closed_with_1008(http, path, headers):
    async with streaming(http, path, additional_headers=headers) as client:
        messages = await client.rest()
    assert len(messages) == 1
    assert "API key" in json.dumps(messages)
    assert client.close_code == 1008
    assert client.socket.close_reason == "unauthorized"


async def hear(http, path, **options):
    async with streaming(http, path, **options) as client:
        await client.begin()
        await client.send(pcm(speak("good day")))
        await client.say("stop")
        return " ".join(one["text"] for one in await client.rest() if one["type"] == "final")


@pytest.mark.parametrize("name", ["token", "access_token"])
async def test_sockets_take_a_key_in_the_address(http, keys, name):
    assert await hear(http, f"/ws/transcribe?{name}={keys['app']}") == "good day"


@pytest.mark.parametrize("scheme", ["Bearer", "Token"])
async def test_sockets_take_a_key_in_a_header(http, keys, scheme):
    headers = {"Authorization": f"{scheme} {keys['app']}"}
    assert await hear(http, "/ws/transcribe", additional_headers=headers) == "good day"


async def test_browsers_put_it_among_the_subprotocols(http, keys):
    protocols = [websockets.Subprotocol(one) for one in ("token", keys["app"])]
    assert await hear(http, "/ws/transcribe", subprotocols=protocols) == "good day"


def test_a_key_in_an_address_opens_no_request(http, keys):
    answer = http.post(f"/transcribe?token={keys['app']}", files={"file": GOOD})
    assert answer.status_code == 401


def test_roles_open_their_own_doors(http, keys):
    opened = {
        name: [
            http.get("/metrics", headers=bearer(secret)).status_code,
            http.post("/admin/nothing", headers=bearer(secret)).status_code,
            http.get("/v1/models", headers=bearer(secret)).status_code,
        ]
        for name, secret in keys.items()
        if name in {"app", "prometheus", "operator"}
    }
    assert opened == {
        "app": [403, 403, 200],
        "prometheus": [200, 403, 403],
        "operator": [200, 404, 403],
    }


def test_the_real_openai_client(http, keys):
    options = {
        "base_url": f"{http.base_url.copy_with(path='/v1')}",
        "max_retries": 0,
        "timeout": PATIENCE_S,
    }
    with openai.OpenAI(api_key=keys["app"], **options) as client:
        told = client.audio.transcriptions.create(file=("a.wav", GOOD), model="whisper-1")
        assert told.text == "good morning"
    with openai.OpenAI(api_key="sk-wrong", **options) as client:
        with pytest.raises(openai.AuthenticationError) as caught:
            client.audio.transcriptions.create(file=("a.wav", GOOD), model="whisper-1")
        assert caught.value.code == "unauthorized"
    with (
        openai.OpenAI(api_key=keys["prometheus"], **options) as client,
        pytest.raises(openai.PermissionDeniedError),
    ):
        client.models.list()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of websockets, met by the SDK
async def test_the_real_deepgram_client(http, keys):
    url = f"ws://{http.base_url.host}:{http.base_url.port}"
    environment = DeepgramClientEnvironment(
        base=str(http.base_url), production=url, agent=url, agent_rest=url
    )
    client = AsyncDeepgramClient(api_key=keys["app"], environment=environment)
    raw = {"model": "nova-3", "encoding": "linear16", "sample_rate": "16000"}
    async with client.listen.v1.connect(**raw) as connection:
        await connection.send_media(pcm(speak("good day")))
        await connection.send_close_stream()
        messages = [message async for message in connection]
    assert "good day" in str(messages)
    stranger = AsyncDeepgramClient(api_key="wrong", environment=environment)
    async with stranger.listen.v1.connect(**raw) as connection:
        try:
            messages = [message async for message in connection]
        except (ApiError, websockets.ConnectionClosedError) as error:
            messages = [error]
    assert "good day" not in str(messages)


def test_requests_are_limited_by_the_minute(http, keys):
    before = rejected(http, keys, "rate_limited")
    answers = [transcribe(http, keys["slow"]) for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
    assert answers[0].headers["ratelimit-policy"] == '"requests";q=3;w=60'
    assert answers[0].headers["ratelimit"].startswith('"requests";r=2;t=')
    last = answers[-1]
    assert last.headers["ratelimit"].startswith('"requests";r=0;t=')
    assert 1 <= int(last.headers["retry-after"]) <= 20
    error = last.json()["error"]
    assert (error["code"], error["type"], error["limit"]) == ("rate_limited", "rate_limit_error", 3)
    assert rejected(http, keys, "rate_limited") == before + 2
    counted = http.get("/metrics", headers=bearer(keys["prometheus"])).text
    assert 'stt_requests_total{endpoint="/transcribe",status="429"}' in counted
    assert transcribe(http, keys["app"]).status_code == 200


async def test_audio_of_files_and_streams_is_limited_by_the_minute(http, keys):
    first = transcribe(http, keys["short"], LONG)
    assert first.status_code == 200
    assert '"audio-seconds";r=0' in first.headers["ratelimit"]
    second = transcribe(http, keys["short"])
    assert second.json()["error"]["code"] == "rate_limited"
    assert int(second.headers["retry-after"]) > 60
    async with streaming(http, additional_headers=bearer(keys["short"])) as client:
        (told,) = await client.rest()
    assert told["code"] == "rate_limited"
    assert client.close_code == 1008


def test_jobs_pay_for_their_audio_when_they_are_decoded(http, keys):
    posted = http.post("/jobs", files={"file": LONG}, headers=bearer(keys["jobs"]))
    assert posted.status_code == 202
    address = posted.headers["location"]
    while (found := http.get(address, headers=bearer(keys["app"]))).json()["status"] != "done":
        assert found.json()["status"] in {"queued", "running"}
    answer = http.post("/jobs", files={"file": LONG}, headers=bearer(keys["jobs"]))
    assert answer.json()["error"]["code"] == "rate_limited"


async def test_a_stream_that_goes_on_too_long_gets_its_text_and_ends(http, keys_file, keys):
    extra = make_keys(keys_file.with_name("extra.json"), {"live": {"audio_s_per_minute": 2}})
    both = json.loads(keys_file.read_text())
    both["keys"] += json.loads(keys_file.with_name("extra.json").read_text())["keys"]
    keys_file.write_text(json.dumps(both))
    async with streaming(http, additional_headers=bearer(extra["live"])) as client:
        await client.begin()
        await client.send(pcm(speak("good morning " * 4)))
        messages = await client.rest()
    assert "good" in " ".join(one.get("text", "") for one in messages)
    assert messages[-1]["code"] == "rate_limited"
    assert client.close_code == 1008


async def test_streams_of_a_key_are_limited(http, keys):
    async with streaming(http, additional_headers=bearer(keys["one"])) as first:
        await first.begin()
        async with streaming(http, additional_headers=bearer(keys["one"])) as second:
            (told,) = await second.rest()
        assert (told["code"], second.close_code) == ("rate_limited", 1008)
        assert await hear(http, "/ws/transcribe", additional_headers=bearer(keys["app"]))
        await first.say("stop")
        await first.rest()
    assert await hear(http, "/ws/transcribe", additional_headers=bearer(keys["one"]))
