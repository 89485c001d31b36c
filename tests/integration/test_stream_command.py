"""`wsm-serve stream` against a server process."""

import io
import signal
import subprocess
import sys
import types

import pytest
from audio_files import encode, wav
from patience import PATIENCE_S
from server_process import serving
from socket_client import pcm
from tiny_bundle import make_bundle, speak

from service.cli import main


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with serving(make_bundle(tmp_path_factory.mktemp("bundles") / "tiny")) as client:
        yield client


@pytest.fixture
def url(server):
    return f"ws://{server.base_url.host}:{server.base_url.port}/ws/transcribe"


@pytest.fixture
def clip(tmp_path):
    path = tmp_path / "clip.wav"
    path.write_bytes(wav(speak("good morning")))
    return path


@pytest.fixture
def run(capsys):
    def run(*arguments):
        code = main(["stream", *map(str, arguments)])
        return (code, *capsys.readouterr())

    return run


def test_a_file_gives_its_finals_as_lines(url, clip, run):
    for options in ((), ("--realtime", "--language", "en")):
        assert run("--url", url, *options, clip) == (0, "good morning\n", "")


def test_a_pipe_holds_samples_or_a_container(url, run, monkeypatch):
    def given(data):
        monkeypatch.setattr(sys, "stdin", types.SimpleNamespace(buffer=io.BytesIO(data)))

    given(pcm(speak("good morning")))
    assert run("--url", url, "--rate", "16000", "-") == (0, "good morning\n", "")
    given(encode(speak("good morning"), "flac", "flac"))
    assert run("--url", url, "-") == (0, "good morning\n", "")


def test_a_terminal_shows_partials_on_the_line_of_the_final(url, clip, run, monkeypatch):
    monkeypatch.setattr("service.cli.Terminal", lambda output: Terminal(Teletype(output)))
    from service.live_client import Terminal

    code, shown, _ = run("--url", url, "--realtime", clip)
    first, *lines = shown.split("\r\033[K")
    assert (code, first, lines[-1]) == (0, "", "good morning\n")
    assert lines[0]
    assert "good morning".startswith(lines[0])


class Teletype:
    """Says that it is a terminal."""

    def __init__(self, output):
        self.write, self.flush = output.write, output.flush

    def isatty(self):
        return True


def heard_s(server):
    name = "stt_audio_seconds_total"
    lines = server.get("/metrics").text.splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(name))


def test_ctrl_c_ends_the_speech_and_shows_the_last_final(server, url):
    data = pcm(speak("good")) + bytes(32_000) + pcm(speak("morning"))
    before_s = heard_s(server)
    command = [sys.executable, "-m", "service", "stream", "--url", url, "--rate", "16000", "-"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        running.stdin.write(data)
        running.stdin.flush()
        assert running.stdout.readline() == b"good\n"
        while heard_s(server) < before_s + len(data) / 32_000 - 1e-6:
            assert running.poll() is None
        running.send_signal(signal.SIGINT)
        running.stdin.close()
        assert running.stdout.read() == b"morning\n"
        assert running.wait(PATIENCE_S) == 0


def test_what_cannot_be_sent_is_one_clear_line(url, run, monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    for argument, told in (
        ("missing.wav", "missing.wav: No such file"),
        (__file__, "not audio"),
        ("--microphone", "extra microphone"),
    ):
        code, _, told_line = run("--url", url, argument)
        (line,) = told_line.splitlines()
        assert (code, told in line, line[:7]) == (1, True, "error: ")


def test_what_the_server_refuses_and_a_server_that_is_not_there(url, clip, run):
    code, _, told = run("--url", url, "--language", "xx", clip)
    assert (code, "[invalid_request]" in told) == (1, True)
    code, _, told = run("--url", "ws://127.0.0.1:9/ws/transcribe", clip)
    assert (code, len(told.splitlines())) == (1, 1)
