"""`wsm-serve transcribe` for files and folders: in this process, and by real and odd servers."""

import json
import logging
import signal
import subprocess
import sys
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread

import pytest
import srt
import webvtt
from audio_files import wav
from patience import PATIENCE_S
from server_process import serving
from tiny_bundle import make_bundle, speak

from service.bulk import remote
from service.cli import main
from service.transcriber import Transcriber

TEXTS = {"one": "good morning", "sub/two": "it's late", "sub/three": "good night"}


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundles")
    make_bundle(folder / "tiny")
    make_bundle(folder / "other", name="other", languages=["es"])
    return folder


@pytest.fixture(scope="module")
def server(bundles):
    with serving(bundles / "tiny", STT_BUNDLES_DIR=str(bundles)) as client:
        yield client


@pytest.fixture(autouse=True)
def _settings(bundles, monkeypatch):
    monkeypatch.setattr(logging, "basicConfig", lambda **_: None)
    for name, value in {
        "BUNDLE": bundles / "tiny",
        "BUNDLES_DIR": bundles,
        "DEVICE": "cpu",
    }.items():
        monkeypatch.setenv(f"STT_{name}", str(value))


@pytest.fixture(params=["here", "by a server"])
def where(request):
    if request.param == "here":
        return []
    return ["--url", str(request.getfixturevalue("server").base_url)]


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "talks"
    for name, text in TEXTS.items():
        path = folder / f"{name}.wav"
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_bytes(wav(speak(text)))
    return folder


def run(*arguments):
    return main(["transcribe", *map(str, arguments)])


def texts(folder):
    return {
        path.relative_to(folder).with_suffix("").as_posix(): path.read_text().strip()
        for path in folder.rglob("*.txt")
    }


def test_a_folder_s_texts_are_written_as_its_files_lie(where, folder, tmp_path, capsys):
    out = tmp_path / "texts"
    assert run(folder, "--out", out, *where) == 0
    assert texts(out) == TEXTS
    printed, told = capsys.readouterr()
    assert printed == ""
    assert told.startswith("3 of 3 files transcribed, 0:00:0")
    assert sorted(path.suffix for path in out.rglob("*.*")) == 3 * [".txt"]


def test_several_formats_lie_beside_the_file(where, folder):
    assert run(folder / "one.wav", "--format", "srt,vtt", "--format", "json", *where) == 0
    (cue,) = srt.parse((folder / "one.srt").read_text())
    assert cue.content == TEXTS["one"]
    assert [caption.text for caption in webvtt.read(folder / "one.vtt")] == [TEXTS["one"]]
    body = json.loads((folder / "one.json").read_text())
    assert (body["text"], body["model"]) == (TEXTS["one"], "tiny")
    assert [word["word"] for word in body["words"]] == TEXTS["one"].split()
    assert "request_id" not in body


def test_it_goes_on_where_it_was_stopped(where, folder, capsys, monkeypatch):
    assert run(folder / "sub", "--format", "txt", *where) == 0
    (folder / "sub" / "two.txt").write_text("mine")
    (folder / "sub" / "three.txt").unlink()
    capsys.readouterr()
    assert run(folder, "--format", "txt", *where) == 0
    assert capsys.readouterr().err.endswith("; 1 were there already\n")
    assert texts(folder) == TEXTS | {"sub/two": "mine"}
    monkeypatch.setattr("service.bulk.here.recognising", None)  # nothing is loaded for nothing
    monkeypatch.setattr(remote, "recognising", None)
    assert run(folder, "--format", "txt", *where) == 0
    assert capsys.readouterr().err == "0 of 3 files transcribed; 3 were there already\n"
    monkeypatch.undo()


def test_what_failed_is_told_with_its_reason_and_the_others_are_done(where, folder, capsys):
    (folder / "bad.mp3").write_bytes(b"no audio" * 999)
    (folder / "empty.wav").write_bytes(b"")
    assert run(folder, folder / "none.wav", "--format", "txt", *where) == 1
    assert texts(folder) == TEXTS
    summary, bad, empty, none = capsys.readouterr().err.splitlines()
    assert summary.startswith("3 of 6 files transcribed")
    assert summary.endswith("; 3 failed:")
    assert "bad.mp3: " in bad
    assert bad.endswith("[unsupported_audio]")
    assert empty.endswith("[empty_audio]")
    assert none == f"  {folder}/none.wav: No such file or directory"


def test_a_model_is_chosen_by_its_name_or_language(where, folder):
    for asked in (["--language", "es"], ["--model", "other"]):
        assert run(folder / "one.wav", "--overwrite", "--format", "json", *asked, *where) == 0
        assert json.loads((folder / "one.json").read_text())["model"] == "other"


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (["--model", "third"], "model 'third' is not served here; there is tiny, other"),
        (["--language", "fi"], "language 'fi' is not served here; there is en, es"),
        (["--decoding", "beam"], "no language model"),
    ],
)
def test_what_is_not_had_is_wrong_usage_and_told_once(where, folder, capsys, asked, told):
    assert run(folder, "--format", "txt", *asked, *where) == 2
    assert capsys.readouterr().err.count(told) == 1
    assert texts(folder) == {}


@pytest.mark.parametrize(
    "asked", [["--format", "doc"], ["--parallel", "0"], ["--url", "localhost:8000"]]
)
def test_wrong_options_are_told(folder, asked, capsys):
    with pytest.raises(SystemExit) as caught:
        run(folder, *asked)
    assert caught.value.code == 2
    assert asked[1] in capsys.readouterr().err


def test_a_place_that_cannot_be_written_to_is_told(folder, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert run(folder / "one.wav", "--out", tmp_path / "file" / "texts") == 1
    assert "Not a directory" in capsys.readouterr().err


def test_ctrl_c_keeps_what_is_done_and_leaves_nothing_half_done(folder, tmp_path):
    """The second of two files waits for ever, behind a pipe that nobody writes to."""
    pipe = folder / "zzz.wav"
    subprocess.run(["mkfifo", pipe], check=True)
    command = [sys.executable, "-m", "service", "transcribe", folder, "--out", tmp_path / "texts"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        while texts(tmp_path / "texts") != TEXTS:
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        with pipe.open("wb"):
            _, told = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130
    assert "3 of 4 files transcribed" in told
    assert "Traceback" not in told
    assert len(list((tmp_path / "texts").rglob("*"))) == 4


class Odd(BaseHTTPRequestHandler):
    """Answers as it was told, each file in its turn, and counts who comes at once."""

    answers: dict[str, list[tuple[int, dict[str, str], dict[str, object]]]]

    def do_POST(self):
        with self.server.lock:
            self.server.inside += 1
            self.server.most = max(self.server.most, self.server.inside)
        content = self.rfile.read(int(self.headers["Content-Length"]))
        name = content.partition(b'filename="')[2].partition(b'"')[0].decode()
        with self.server.lock:
            self.server.asked[name] += 1
            self.server.keys.add(self.headers.get("Authorization"))
            turn = self.server.answers(name, self.server.asked[name])
            self.server.inside -= 1
        if turn is None:
            self.connection.close()
            return
        status, headers, body = turn
        self.send_response(status)
        for header in headers.items():
            self.send_header(*header)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *_):
        pass


@pytest.fixture
def odd():
    started = []

    def start(answers):
        server = ThreadingHTTPServer(("127.0.0.1", 0), Odd)
        server.answers, server.asked, server.keys = answers, Counter(), set()
        server.lock, server.inside, server.most = Lock(), 0, 0
        Thread(target=server.serve_forever).start()
        started.append(server)
        return server, f"http://127.0.0.1:{server.server_port}/speech"

    yield start
    for server in started:
        server.shutdown()
        server.server_close()


GOOD = (
    200,
    {},
    {
        "text": "good",
        "duration_s": 1,
        "language": "en",
        "model": "odd",
        "request_id": "1",
        "words": [],
        "timing": dict.fromkeys(("decode_s", "queue_s", "inference_s", "ctc_s", "total_s"), 0),
    },
)


def failing(status, code, **headers):
    return status, headers, {"error": {"message": "told why", "code": code, "param": None}}


@pytest.fixture
def slept(monkeypatch):
    waits_s = []

    async def sleep(wait_s):
        waits_s.append(wait_s)

    monkeypatch.setattr("service.bulk.remote.asyncio.sleep", sleep)
    return waits_s


def test_a_server_that_is_busy_or_restarted_is_asked_again_when_it_says(
    odd, folder, slept, monkeypatch
):
    turns = {1: failing(429, "overloaded", **{"Retry-After": "7"}), 2: failing(503, "not_ready")}
    server, url = odd(lambda name, turn: turns.get(turn, None if turn == 3 else GOOD))
    monkeypatch.setenv("STT_API_KEY", "secret")
    assert run(folder / "one.wav", "--format", "txt", "--url", url) == 0
    assert slept == [7, 1, 2]
    assert server.asked == {"one.wav": 4}
    assert server.keys == {"Bearer secret"}


def test_no_more_requests_are_sent_at_once_than_may_be(odd, tmp_path):
    for number in range(12):
        (tmp_path / f"{number}.wav").write_bytes(b"any")
    server, url = odd(lambda *_: GOOD)
    assert run(tmp_path, "--format", "txt", "--url", url, "--parallel", "3") == 0
    assert server.most <= 3
    assert server.asked == Counter(f"{number}.wav" for number in range(12))


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (failing(401, "unauthorized"), "error: told why"),
        (failing(503, "not_ready"), "does not answer: told why"),
        ((502, {}, {}), "does not answer: HTTP status 502"),
        ((200, {}, {"hello": "world"}), "is not a transcript; is --url right?"),
        (None, "does not answer: "),
    ],
)
def test_a_server_that_takes_no_file_ends_the_run(odd, folder, slept, capsys, answer, told):
    server, url = odd(lambda *_: answer)
    assert run(folder, "--format", "txt", "--url", url) == 1
    assert told in capsys.readouterr().err
    assert max(server.asked.values()) <= 1 + len(remote.AWAY_S)


def test_a_server_that_is_not_there_ends_the_run(folder, slept, capsys):
    assert run(folder, "--format", "txt", "--url", "http://127.0.0.1:9") == 1
    assert "http://127.0.0.1:9 does not answer: Connection refused" in capsys.readouterr().err
    assert len(slept) <= 3 * len(remote.FIRST_AWAY_S)


def test_batches_are_filled_with_many_files(folder, monkeypatch):
    waiting, most = 0, 0
    transcribe = Transcriber.transcribe

    async def count(self, source, options, **how):
        nonlocal waiting, most
        waiting += 1
        most = max(most, waiting)
        try:
            return await transcribe(self, source, options, **how)
        finally:
            waiting -= 1

    monkeypatch.setattr(Transcriber, "transcribe", count)
    monkeypatch.setenv("STT_MAX_BATCH_SIZE", "4")
    for number in range(20):
        (folder / f"{number}.wav").write_bytes((folder / "one.wav").read_bytes())
    assert run(folder, "--format", "txt") == 0
    assert most == 8
