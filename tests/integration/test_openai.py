"""`/v1`, by the real `openai` client, and by hand where that has no word for it."""

import asyncio
import json
import re
import socket
from itertools import pairwise

import numpy as np
import openai
import pytest
import srt
import webvtt
from audio_files import encode, wav
from language_models import add_language_model
from patience import PATIENCE_S
from recordings import cer, joined, recordings
from server_process import serving
from tiny_bundle import RATE_HZ, make_bundle, speak

SENTENCE = "the quick brown fox jumps over the lazy dog"
GOOD = wav(speak("good morning"))
PAUSE = np.zeros(RATE_HZ, np.float32)
MAX_UPLOAD_BYTES = 5_000_000
WAITING = 'stt_queue_size{lane="bulk"}'


def sample(http, name):
    (value,) = re.findall(rf"^{re.escape(name)} (\S+)$", http.get("/metrics").text, re.MULTILINE)
    return float(value)


def lecture(sentences):
    return wav(np.concatenate([*[speak(SENTENCE), PAUSE] * sentences, PAUSE]))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_bundle(tmp_path_factory.mktemp("bundles") / "tiny")


@pytest.fixture(scope="module")
def tiny(folder):
    limits = {"STT_MAX_UPLOAD_BYTES": str(MAX_UPLOAD_BYTES), "STT_MAX_AUDIO_S": "200"}
    with serving(folder, STT_MAX_PASS_S="10", **limits) as http:
        yield http


def settings_for(http):
    url = f"{http.base_url}".rstrip("/") + "/v1"
    return {"base_url": url, "api_key": "any", "max_retries": 0, "timeout": PATIENCE_S}


@pytest.fixture(scope="module")
def client(tiny):
    with openai.OpenAI(**settings_for(tiny)) as client:
        yield client


def transcribe(client, content=GOOD, model="whisper-1", **asked):
    return client.audio.transcriptions.create(file=("a.wav", content), model=model, **asked)


def test_json_is_the_text_and_what_was_used(client):
    answer = transcribe(client)
    assert answer.text == "good morning"
    assert (answer.usage.type, answer.usage.seconds) == ("duration", 1)


@pytest.mark.parametrize("extension", ["mp3", "webm", "flac"])
def test_files_of_a_path_and_other_formats_are_taken(client, tmp_path, extension):
    codec = {"mp3": "libmp3lame", "webm": "libopus", "flac": "flac"}[extension]
    path = tmp_path / f"silence.{extension}"
    path.write_bytes(encode(np.zeros(96_000, np.float32), extension, codec, rate_hz=48_000))
    with path.open("rb") as file:
        assert client.audio.transcriptions.create(file=file, model="tiny").text == ""


async def test_the_asynchronous_client_is_answered_too(tiny):
    async with openai.AsyncOpenAI(**settings_for(tiny)) as client:
        texts = ["good morning", "a cab", "good day"]
        answers = await asyncio.gather(*(transcribe(client, wav(speak(text))) for text in texts))
        assert [answer.text for answer in answers] == texts
        stream = await transcribe(client, stream=True)
        events = [event async for event in stream]
    assert [event.type for event in events] == ["transcript.text.delta", "transcript.text.done"]


def test_text(client):
    assert transcribe(client, response_format="text") == "good morning\n"


def test_verbose_json_has_segments_and_words(client):
    answer = transcribe(
        client,
        lecture(3),
        response_format="verbose_json",
        timestamp_granularities=["word", "segment"],
    )
    assert (answer.language, answer.task) == ("en", "transcribe")
    assert answer.text == " ".join([SENTENCE] * 3)
    assert [segment.text for segment in answer.segments] == [SENTENCE] * 3
    assert [segment.id for segment in answer.segments] == [0, 1, 2]
    assert len(answer.words) == 27
    assert answer.words[0].word == "the"
    assert answer.words[0].start == answer.segments[0].start
    assert answer.words[-1].end == answer.segments[-1].end < answer.duration
    assert all(left.end <= right.start for left, right in pairwise(answer.words))
    assert all(0 < word.confidence <= 1 for word in answer.words)
    for segment in answer.segments:
        assert segment.avg_logprob <= 0
        assert segment.compression_ratio > 0
        assert (segment.tokens, segment.temperature, segment.no_speech_prob) == ([], 0, 0)


@pytest.mark.parametrize(
    ("asked", "has_segments", "has_words"),
    [({}, True, False), (["segment"], True, False), (["word"], False, True)],
)
def test_only_what_is_asked_for_has_times(client, asked, has_segments, has_words):
    more = {"timestamp_granularities": asked} if asked else {}
    answer = transcribe(client, response_format="verbose_json", **more)
    assert (answer.segments is not None, answer.words is not None) == (has_segments, has_words)


def test_subtitles_are_read_by_parsers(client):
    content = lecture(3)
    words = " ".join([SENTENCE] * 3)
    cues = list(srt.parse(transcribe(client, content, response_format="srt")))
    assert " ".join(cue.content for cue in cues).replace("\n", " ") == words
    captions = list(webvtt.from_string(transcribe(client, content, response_format="vtt")))
    assert " ".join(caption.text for caption in captions).replace("\n", " ") == words
    assert len(cues) == len(captions) == 3


@pytest.mark.parametrize(
    ("response_format", "media_type", "silence"),
    [
        ("json", "application/json", '{"text":"","usage":{"type":"duration","seconds":1}}'),
        ("text", "text/plain; charset=utf-8", "\n"),
        ("srt", "application/x-subrip", ""),
        ("vtt", "text/vtt; charset=utf-8", "WEBVTT\n\n"),
    ],
)
def test_silence_is_no_text_in_any_format(tiny, response_format, media_type, silence):
    answer = tiny.post(
        "/v1/audio/transcriptions",
        files={"file": wav(PAUSE)},
        data={"response_format": response_format},
    )
    assert (answer.status_code, answer.text) == (200, silence)
    assert answer.headers["content-type"] == media_type


@pytest.mark.parametrize(
    "model", ["tiny", "whisper-1", "gpt-4o-transcribe", "gpt-4o-mini-transcribe-2025-12-15"]
)
def test_names_of_models(client, model):
    assert transcribe(client, model=model).text == "good morning"


def test_what_is_not_had_is_ignored(client):
    prose = "Dear Mr. Elliot, this is a lecture about the Ångström, held in New York. " * 100
    answer = transcribe(
        client,
        language="en-US",
        prompt=prose,
        temperature=0.7,
        include=["logprobs"],
        chunking_strategy="auto",
        extra_body={"vad_filter": "true", "diarize": "no"},
    )
    assert answer.text == "good morning"


def test_text_is_streamed_as_it_is_recognised(client, tiny):
    content = lecture(30)
    events = list(transcribe(client, content, stream=True))
    *deltas, done = events
    assert {event.type for event in deltas} == {"transcript.text.delta"}
    assert len(deltas) > 3
    assert done.type == "transcript.text.done"
    assert "".join(event.delta for event in deltas) == done.text == transcribe(client, content).text
    assert done.text == " ".join([SENTENCE] * 30)
    whole = tiny.post("/transcribe", files={"file": content}).json()["text"]
    assert done.text == whole
    assert done.to_dict()["usage"]["type"] == "duration"


def test_silence_is_streamed_as_its_end_alone(client):
    (done,) = transcribe(client, wav(PAUSE), stream=True)
    assert (done.type, done.text) == ("transcript.text.done", "")


def test_events_on_the_wire(tiny):
    with tiny.stream(
        "POST", "/v1/audio/transcriptions", files={"file": GOOD}, data={"stream": "true"}
    ) as answer:
        body = answer.read().decode()
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache"
    assert "x-request-id" in answer.headers
    first, last, rest = body.split("\n\n")
    assert json.loads(first.removeprefix("data: ")) == {
        "type": "transcript.text.delta",
        "delta": "good morning",
    }
    assert json.loads(last.removeprefix("data: "))["text"] == "good morning"
    assert rest == ""


def stream_ever_longer(client):
    sentences = 4
    while list(transcribe(client, lecture(sentences), stream=True)):
        sentences *= 2


def test_an_error_behind_the_first_event_is_raised_too(folder):
    limits = {"STT_MAX_PASS_S": "10", "STT_REQUEST_TIMEOUT_S": "0.5"}
    with (
        serving(folder, **limits) as http,
        openai.OpenAI(**settings_for(http)) as client,
        pytest.raises(openai.APIError) as caught,
    ):
        stream_ever_longer(client)
    assert caught.value.body["code"] == "deadline_exceeded"


BAD = {
    "not audio": (openai.APIStatusError, 415, "unsupported_audio", {"content": b"hello" * 99}),
    "cut": (openai.APIStatusError, 415, "truncated_audio", {"content": GOOD[:9000]}),
    "empty": (openai.BadRequestError, 400, "empty_audio", {"content": b""}),
    "too big": (
        openai.APIStatusError,
        413,
        "upload_too_large",
        {"content": bytes(MAX_UPLOAD_BYTES)},
    ),
    "too long": (
        openai.APIStatusError,
        413,
        "audio_too_long",
        {"content": encode(np.zeros(201 * RATE_HZ, np.float32), "flac", "flac")},
    ),
    "model": (openai.NotFoundError, 404, "model_not_found", {"model": "whisper-2"}),
    "language": (openai.BadRequestError, 400, "invalid_request", {"language": "tlh"}),
    "format": (openai.BadRequestError, 400, "invalid_request", {"response_format": "ass"}),
    "granularity": (
        openai.BadRequestError,
        400,
        "invalid_request",
        {"timestamp_granularities": ["sentence"]},
    ),
    "streamed subtitles": (
        openai.BadRequestError,
        400,
        "invalid_request",
        {"response_format": "srt", "stream": True},
    ),
    "hot words of ours": (
        openai.BadRequestError,
        400,
        "invalid_request",
        {"extra_body": {"hot_words": "cab"}},
    ),
}


@pytest.mark.parametrize("case", BAD)
@pytest.mark.parametrize("stream", [False, True])
def test_errors_are_the_client_s_own_classes(client, case, stream):
    kind, status, code, asked = BAD[case]
    with pytest.raises(kind) as caught:
        transcribe(client, **{"stream": stream} | asked)
    error = caught.value
    assert (error.status_code, error.code) == (status, code)
    assert error.type == "invalid_request_error"
    assert error.body["message"]
    assert transcribe(client).text == "good morning"


def test_a_file_is_needed(tiny):
    answer = tiny.post("/v1/audio/transcriptions", files={"audio": GOOD})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, "invalid_request", "file")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the client's, of its own method
def test_translations_are_refused(client):
    with pytest.raises(openai.BadRequestError, match="translation is not served") as caught:
        client.audio.translations.create(file=("a.wav", GOOD), model="whisper-1")
    assert caught.value.code == "invalid_request"


def test_models_are_listed_and_found(client):
    (model,) = client.models.list()
    assert (model.id, model.object, model.owned_by) == ("tiny", "model", "wsm-stt")
    assert model.created > 1_700_000_000
    assert client.models.retrieve("tiny") == model
    assert client.models.retrieve("whisper-1") == model
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve("whisper-2")
    assert caught.value.code == "model_not_found"
    assert caught.value.body["limit"][0] == "tiny"


def transcribe_until_refused(client):
    while transcribe(client):
        pass


def test_a_full_house_is_a_rate_limit(folder):
    head = (
        b"POST /v1/audio/transcriptions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 999\r\n"
        b"Content-Type: multipart/form-data; boundary=x\r\n\r\n--x"
    )
    with (
        serving(folder, STT_MAX_REQUESTS="1") as http,
        openai.OpenAI(**settings_for(http)) as client,
        socket.create_connection((http.base_url.host, http.base_url.port)) as connection,
    ):
        connection.sendall(head)
        with pytest.raises(openai.RateLimitError) as caught:
            transcribe_until_refused(client)
    assert caught.value.code == "overloaded"
    assert int(caught.value.response.headers["retry-after"]) >= 1


def test_requests_are_counted_by_their_addresses(client, tiny):
    transcribe(client)
    client.models.retrieve("tiny")
    text = tiny.get("/metrics").text
    assert 'stt_requests_total{endpoint="/v1/audio/transcriptions",status="200"}' in text
    assert 'stt_requests_total{endpoint="/v1/models/{id}",status="200"}' in text
    assert "whisper-2" not in text


def test_a_prompt_s_names_are_expected(folder, tmp_path):
    rich = add_language_model(folder, tmp_path / "rich", ["acab", "a"])
    said = wav(speak("akab"))
    with serving(rich) as http, openai.OpenAI(**settings_for(http)) as client:
        assert transcribe(client, said).text != "akab"
        assert transcribe(client, said, prompt="Akab, Ångström").text == "akab"
        assert transcribe(client, said, prompt="A lecture by Captain Akab.").text != "akab"
        assert transcribe(client, said, prompt="We see that Akab is here now.").text == "akab"
        assert transcribe(client, said, keywords=["akab"]).text == "akab"
        greedy = transcribe(client, said, prompt="acab", extra_body={"decoding": "greedy"})
        assert greedy.text == "akab"


def test_real_speech(server):
    clip = next(clip for clip in recordings() if clip.is_human)
    content = clip.path.read_bytes()
    with openai.OpenAI(**settings_for(server.client)) as client:
        answer = transcribe(
            client, content, response_format="verbose_json", prompt="Austen, Elliot"
        )
        assert cer(clip.text, answer.text) < 0.2
        assert answer.segments
        (model,) = client.models.list()
        assert model.id == "english"


def test_a_client_that_leaves_a_stream_takes_its_work_along(server):
    speech = joined([clip.waveform() for clip in recordings()])
    content = wav(np.concatenate([speech] * 8))
    client = server.client
    computed_s = sample(client, "stt_batch_audio_seconds_sum")
    cancelled = sample(client, "stt_cancelled_total")
    form = {"files": {"file": content}, "data": {"stream": "true"}}
    with client.stream("POST", "/v1/audio/transcriptions", **form) as answer:
        events = answer.iter_raw()  # the answer ends with it
        assert next(events).startswith(b"data: ")
        assert sample(client, WAITING)
    while sample(client, WAITING):
        pass
    assert sample(client, "stt_cancelled_total") > cancelled
    computed_s = sample(client, "stt_batch_audio_seconds_sum") - computed_s
    assert computed_s < 8 * speech.size / RATE_HZ
    assert client.get("/health/ready").status_code == 200
