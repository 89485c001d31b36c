"""Beam search over HTTP: the packaged model with a language model of the recordings' words."""

import json
import subprocess
import sys

import pytest
from language_models import add_language_model
from patience import PATIENCE_S
from recordings import SPEECH, cer, recordings
from server_process import process, serving
from tiny_bundle import make_bundle

from service.bundle import MANIFEST_FILE, sha256_of
from service.config import PACKAGED_BUNDLE

RECORDINGS = [recording for recording in recordings() if not recording.is_human]
NAMES = "kokoro-101717.opus"  # someone called Anne engages herself, to Mr Elliot's surprise
HOT_WORDS = {"anne's", "elliot"}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    words = {word for recording in RECORDINGS for word in recording.text.split()}
    copy = tmp_path_factory.mktemp("bundles") / "english"
    return add_language_model(PACKAGED_BUNDLE, copy, sorted(words - HOT_WORDS))


@pytest.fixture(scope="module")
def client(bundle, tmp_path_factory):
    jobs = tmp_path_factory.mktemp("jobs")
    with serving(bundle, STT_JOBS_DIR=str(jobs)) as client:
        yield client


def post(client, name, path="/transcribe", **fields):
    return client.post(path, files={"file": (SPEECH / name).read_bytes()}, data=fields)


@pytest.fixture(scope="module")
def texts(client):
    """What each recording says to each decoding."""
    return {
        decoding: [
            post(client, one.path.name, decoding=decoding).json()["text"] for one in RECORDINGS
        ]
        for decoding in ("greedy", "beam")
    }


def test_a_language_model_corrects_the_spelling(texts):
    spoken = [recording.text for recording in RECORDINGS]
    assert cer(spoken, texts["beam"]) < 0.8 * cer(spoken, texts["greedy"])


def test_it_is_used_where_there_is_one(client, texts):
    body = post(client, RECORDINGS[0].path.name).json()
    assert body["text"] == texts["beam"][0]
    assert all(word["start_s"] < word["end_s"] <= body["duration_s"] for word in body["words"])
    model = client.get("/version").json()["model"]
    assert (model["decoding"], model["decodings"]) == ("beam", ["greedy", "beam"])


def test_hot_words_are_found_where_they_are_said_and_nowhere_else(client, texts):
    asked = ", ".join(HOT_WORDS).title()
    found = {
        one.path.name: post(client, one.path.name, hot_words=asked).json()["text"]
        for one in RECORDINGS
    }
    assert set(found[NAMES].split()) >= HOT_WORDS
    others = {name: text for name, text in found.items() if name != NAMES}
    before = dict(zip((one.path.name for one in RECORDINGS), texts["beam"], strict=True))
    assert others == {name: before[name] for name in others}


@pytest.mark.parametrize("decoding", ["greedy", "beam"])
def test_a_job_is_decoded_as_it_asked(client, texts, decoding):
    answer = post(client, RECORDINGS[0].path.name, "/jobs", decoding=decoding)
    location = answer.headers["location"]
    while (job := client.get(location).json())["status"] in ("queued", "running"):
        pass
    assert job["result"]["text"] == texts[decoding][0]


@pytest.mark.parametrize("path", ["/transcribe", "/jobs"])
@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"decoding": "best"}, "decoding"),
        ({"hot_words": "R2D2"}, "hot_words"),
        ({"hot_words": "anne", "decoding": "greedy"}, "hot_words"),
        ({"hot_words": ",".join(map(str, range(101)))}, "hot_words"),
    ],
)
def test_what_cannot_be_done_is_refused(client, path, fields, param):
    answer = post(client, NAMES, path, **fields)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert (error["code"], error["param"]) == ("invalid_request", param)


def test_the_command_takes_them_too(bundle, texts):
    def said(*arguments):
        command = [sys.executable, "-m", "service", "transcribe", "--bundle", str(bundle)]
        done = subprocess.run(
            [*command, *arguments, NAMES],
            cwd=SPEECH,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=True,
        )
        return done.stdout.partition(": ")[2].strip()

    at = [one.path.name for one in RECORDINGS].index(NAMES)
    assert said("--decoding", "greedy") == texts["greedy"][at]
    assert set(said("--hot-words", ",".join(HOT_WORDS)).split()) >= HOT_WORDS


def test_a_bundle_without_one_does_not_start_with_beam_search(tmp_path):
    with process(make_bundle(tmp_path / "bundle"), STT_DECODING="beam") as started:
        _, log = started.communicate(timeout=PATIENCE_S)
    assert started.returncode == 1
    assert "has no language model" in log


def test_a_damaged_model_is_told_at_the_start(bundle, tmp_path):
    damaged = add_language_model(PACKAGED_BUNDLE, tmp_path / "damaged", ["sea"])
    arpa = damaged / "words.arpa"
    arpa.write_text(arpa.read_text().replace("ngram 2=1", "ngram 2=7"))
    manifest = json.loads((damaged / MANIFEST_FILE).read_text())
    manifest["files"][arpa.name] = sha256_of(arpa)
    (damaged / MANIFEST_FILE).write_text(json.dumps(manifest))
    with process(damaged) as started:
        _, log = started.communicate(timeout=PATIENCE_S)
    assert started.returncode == 1
    assert "words.arpa is no n-gram model that can be used" in log
