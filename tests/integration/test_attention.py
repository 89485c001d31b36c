"""A server whose bundle has an attention decoder: files, hot words and live streams."""

import io

import pytest
import soundfile
from attention_bundle import make_attention_bundle
from language_models import add_language_model
from server_process import serving
from socket_client import of_type, pcm, silence, streaming
from tiny_bundle import RATE_HZ, speak

SAID, WRITTEN = "a kab bad", "a cab bad"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundles")
    bare = make_attention_bundle(folder / "bare", {"k": "c"})
    return add_language_model(bare, folder / "rich", ["a", "kab", "bad"])


@pytest.fixture(scope="module")
def server(bundle):
    with serving(bundle) as client:
        yield client


def post(server, text, path="/transcribe", **fields):
    file = io.BytesIO()
    soundfile.write(file, speak(text), RATE_HZ, format="WAV")
    return server.post(path, files={"file": file.getvalue()}, data=fields)


def test_it_writes_files_by_default(server):
    body = post(server, SAID).json()
    assert body["text"] == WRITTEN
    assert [word["word"] for word in body["words"]] == WRITTEN.split()
    assert all(word["start_s"] < word["end_s"] <= body["duration_s"] for word in body["words"])
    model = server.get("/version").json()["model"]
    assert (model["decoding"], model["decodings"]) == ("attention", ["greedy", "beam", "attention"])


@pytest.mark.parametrize(
    ("decoding", "text"), [("greedy", SAID), ("beam", SAID), ("attention", WRITTEN)]
)
def test_a_request_may_choose(server, decoding, text):
    assert post(server, SAID, decoding=decoding).json()["text"] == text


def test_an_unknown_decoding_is_refused_with_what_there_is(server):
    answer = post(server, SAID, decoding="guess")
    assert answer.status_code == 400
    assert "only greedy, beam, attention" in answer.text


def test_hot_words_stand_in_its_text(server):
    assert post(server, SAID, hot_words="kab").json()["text"] == SAID
    prompted = post(server, SAID, "/v1/audio/transcriptions", model="tiny", prompt="Kab")
    assert prompted.json()["text"] == SAID


async def test_finals_of_a_stream_are_written_by_it_and_partials_by_the_first_pass(server):
    async with streaming(server) as client:
        await client.begin()
        await client.send(pcm(speak(SAID)) + pcm(silence(1.5)))
        await client.say("stop")
        messages = await client.rest()
    assert " ".join(final["text"] for final in of_type(messages, "final")) == WRITTEN
    partials = {partial["text"] for partial in of_type(messages, "partial")}
    assert not any("c" in text for text in partials)
