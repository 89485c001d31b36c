"""What README.md shows is so: commands and programs run against a server, long ones are parsed.

A block of a kind that is not known here fails, so that no new one stays unchecked.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from audio_files import encode
from patience import PATIENCE_S
from recordings import recordings
from socket_client import pcm, silence, streaming

from model_export import cli as export_cli
from service import cli as serve_cli
from service.config import PREFIX, Settings

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
COMPOSE = (ROOT / "docker" / "compose.yaml").read_text(encoding="utf-8")
SHOWN_ADDRESS = "localhost:8000"
SHOWN_JOB = "6f0c..."
SHIM = '#!/bin/sh\nexec "{python}" -m service "$@"\n'

RUN = {"curl", ".venv/bin/wsm-serve"}
PARSED = {"make", "wsm-export", "python", "docker"}
LEFT_ALONE = {"apt-get", "mkdir"}  # what they do is the system's
DOCKER_OPTIONS = {"--build", "--wait"}
COMMAND = re.compile(r"(?:[A-Z_]+=\S+ )*(\S+)")
MAP = re.compile(r"\w+/")


def blocks():
    """The indented blocks, each as its lines."""
    found = re.findall(r"(?:^ {4}.+\n)+", README, re.MULTILINE)
    return [[line[4:].rstrip() for line in block.splitlines()] for block in found]


def kind_of(block):
    first = block[0]
    if COMMAND.match(first)[1] in RUN | PARSED | LEFT_ALONE:
        return "commands"
    if first.startswith(("from ", "import ")):
        return "program"
    if first.startswith("{"):
        return "answer"
    return "conversation" if first.startswith("-> ") else "map" if MAP.match(first) else "unknown"


def of_kind(kind):
    return [block for block in blocks() if kind_of(block) == kind]


def commands(names):
    """Commands by the names of their programs, without comments; those of one block together."""
    found = []
    for block in of_kind("commands"):
        lines = "\n".join(block).replace("\\\n", " ").splitlines()
        lines = [re.sub(r"\s+#.*", "", line) for line in lines]
        found.append([line for line in lines if COMMAND.match(line)[1] in names])
    return [lines for lines in found if lines]


def each(*names):
    return [line for lines in commands(set(names)) for line in lines]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where a reader would stand, with the recordings that the README speaks of."""
    folder = tmp_path_factory.mktemp("readme")
    (folder / "tests").symlink_to(ROOT / "tests")
    shim = folder / ".venv" / "bin" / "wsm-serve"
    shim.parent.mkdir(parents=True)
    shim.write_text(SHIM.format(python=sys.executable))
    shim.chmod(0o755)
    content = encode(recordings()[0].waveform(), "mp3", "libmp3lame")
    (folder / "lectures").mkdir()
    for name in ("lecture.mp3", "another.mp3", "lectures/first.mp3"):
        (folder / name).write_bytes(content)
    shutil.copy(ROOT / "tests/assets/speech/librivox-0880.flac", folder / "recording.flac")
    return folder


def shell(line, folder, server):
    url = server.client.base_url
    line = line.replace(SHOWN_ADDRESS, f"{url.host}:{url.port}")
    environment = os.environ | {"PYTHONPATH": str(ROOT), "STT_DEVICE": "cpu"}
    done = subprocess.run(
        line, shell=True, cwd=folder, env=environment, capture_output=True, timeout=PATIENCE_S
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def test_every_block_is_of_a_kind_that_is_checked():
    for block in blocks():
        assert kind_of(block) != "unknown", block[0]
    for line in each(*RUN, *PARSED, *LEFT_ALONE):
        assert line
    told = sum(len(commands) for commands in commands(RUN | PARSED | LEFT_ALONE))
    lines = sum(not line.startswith(" ") for block in of_kind("commands") for line in block)
    assert told == lines


@pytest.mark.parametrize("lines", commands({"curl"}), ids=lambda lines: lines[0][:60])
def test_what_is_asked_with_curl_is_answered(lines, folder, server):
    job = SHOWN_JOB
    for line in lines:
        said = shell(line.replace(SHOWN_JOB, job).replace("curl ", "curl -sS "), folder, server)
        assert '"error":{' not in said
        if posted := re.search(r"^location: /jobs/(\w+)", said, re.MULTILINE | re.IGNORECASE):
            assert " 202 " in said
            job = posted[1]
        elif "srt" in line:
            assert said.startswith("1\n00:00:0")
        elif "DELETE" not in line:
            assert json.loads(said)


def test_the_answer_is_the_one_that_is_shown(folder, server):
    (shown,) = of_kind("answer")
    shown = " ".join(shown)
    said = shell(commands({"curl"})[0][0].replace("curl ", "curl -sS "), folder, server)
    body = json.loads(said)
    for name in ("text", "duration_s", "language", "model"):
        assert f'"{name}": {json.dumps(body[name])}' in shown
    first = body["words"][0]
    assert set(re.findall(r'"(\w+)":', shown)) == {*body, *first, *body["timing"]}
    assert json.dumps(first)[:-8] in shown  # but for the last digits of the confidence


@pytest.mark.parametrize("line", each(".venv/bin/wsm-serve"))
def test_what_is_done_without_a_server_is_done(line, folder, server):
    said = shell(line, folder, server)
    if "--out" in line:
        assert {path.name for path in (folder / "texts").iterdir()} == {"first.srt", "first.json"}
    else:
        assert "recording.flac: he was not an ill disposed young man" in said.splitlines()


@pytest.mark.parametrize("program", of_kind("program"), ids=lambda lines: lines[0])
def test_programs_do_what_their_comments_say(program, folder, server, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    url = server.client.base_url
    source = "\n".join(program).replace(SHOWN_ADDRESS, f"{url.host}:{url.port}")
    names = {}
    exec(compile(source, "README.md", "exec"), names)
    names["client"].close()
    *deltas, last = capsys.readouterr().out.splitlines()
    assert last.startswith("transcript.text.done {")
    assert deltas
    assert all(line.startswith("transcript.text.delta {") for line in deltas)


async def test_the_conversation_is_the_one_that_is_shown(server):
    (lines,) = of_kind("conversation")
    start, *answers = [re.match(r"(?:->|<-) (\{.*?\})(?:  |$)", line)[1] for line in lines]
    shown = {one["type"]: one for one in map(json.loads, (a.replace("...", "") for a in answers))}
    clip = next(clip for clip in recordings() if "0880" in str(clip.path))
    async with streaming(server.client) as client:
        await client.socket.send(start)
        await client.send(pcm(clip.waveform()) + pcm(silence(2)))
        await client.say("stop")
        said = {message["type"]: message for message in await client.rest()}
    assert shown.keys() <= said.keys()
    for kind, message in shown.items():
        assert message.keys() == said[kind].keys()
    assert said["ready"] == shown["ready"]
    assert said["final"]["text"] == shown["final"]["text"]


@pytest.mark.parametrize("line", each("wsm-export"))
def test_what_takes_long_has_options_that_are_read(line, monkeypatch):
    asked = []
    monkeypatch.setattr(export_cli, "_run", asked.append)
    assert export_cli.main(shlex.split(line)[1:]) == 0
    assert asked


@pytest.mark.parametrize("line", each("python"))
def test_modules_have_the_options_that_are_shown(line):
    _, dash_m, module, *arguments = shlex.split(line)
    assert dash_m == "-m"
    command = [sys.executable, "-m", module, "--help"]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True).stdout
    assert all(one in told for one in arguments if one.startswith("-"))


@pytest.mark.parametrize("line", each("make", "docker"))
def test_targets_files_and_variables_are_there(line):
    words = shlex.split(line.partition("&&")[0])
    variables = [word.partition("=")[0] for word in words if re.match(r"[A-Z_]+=", word)]
    for name in variables:
        is_setting = name.removeprefix(PREFIX).lower() in Settings.model_fields
        assert is_setting if name.startswith(PREFIX) else name in COMPOSE + MAKEFILE
    if "make" in words:
        target = words[words.index("make") + 1]
        assert re.search(rf"^{target}:", MAKEFILE, re.MULTILINE)
    else:
        assert (ROOT / words[words.index("-f") + 1]).is_file()


def test_every_option_that_is_named_in_passing_exists(capsys):
    named = set(re.findall(r"(?<=[\s`(])--[a-z][a-z-]+", README))
    for main, names in (
        (serve_cli.main, ("transcribe", "stream", "run", "keys add")),
        (export_cli.main, ("finetune", "evaluate", "export", "check-data", "synthesise")),
    ):
        for name in names:
            with pytest.raises(SystemExit):
                main([*name.split(), "--help"])
    known = set(re.findall(r"--[a-z][a-z-]+", capsys.readouterr().out))
    assert named <= known | DOCKER_OPTIONS
