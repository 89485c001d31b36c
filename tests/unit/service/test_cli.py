import json
import logging
from importlib.metadata import version

import pytest
from audio_files import wav
from tiny_bundle import make_bundle, speak

from service.cli import main
from service.errors import Overloaded
from service.transcriber import Transcriber


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_bundle(tmp_path_factory.mktemp("bundles") / "tiny")


@pytest.fixture(autouse=True)
def _quiet(monkeypatch):
    monkeypatch.setattr(logging, "basicConfig", lambda **_: None)
    monkeypatch.setenv("STT_DEVICE", "cpu")


@pytest.fixture
def files(tmp_path):
    for name, text in (("one", "good morning"), ("two", "it's late")):
        (tmp_path / f"{name}.wav").write_bytes(wav(speak(text)))
    (tmp_path / "text.txt").write_text("no audio")
    return tmp_path


def test_files_are_transcribed_in_order(files, folder, capsys):
    code = main(["transcribe", "--bundle", str(folder), f"{files}/two.wav", f"{files}/one.wav"])
    assert code == 0
    out, err = capsys.readouterr()
    assert out.splitlines() == [f"{files}/two.wav: it's late", f"{files}/one.wav: good morning"]
    assert err == ""


def test_json_lines_hold_what_the_server_answers(files, folder, capsys):
    assert main(["transcribe", "--json", "--bundle", str(folder), f"{files}/one.wav"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    found = json.loads(line)
    assert found["path"] == f"{files}/one.wav"
    assert found["text"] == "good morning"
    assert found["words"][0]["word"] == "good"
    assert {"duration_s", "language", "model", "timing"} < found.keys()


def test_bad_files_are_told_and_the_others_go_on(files, folder, capsys):
    paths = [f"{files}/none.wav", f"{files}/text.txt", f"{files}/one.wav"]
    assert main(["transcribe", "--bundle", str(folder), *paths]) == 1
    out, err = capsys.readouterr()
    assert out.splitlines() == [f"{files}/one.wav: good morning"]
    told = err.splitlines()
    assert told[0] == f"{files}/none.wav: No such file or directory"
    assert told[1].startswith(f"{files}/text.txt: ")
    assert told[1].endswith("[unsupported_audio]")


def test_files_for_which_there_is_no_room_wait_for_it(files, folder, capsys, monkeypatch):
    transcribe = Transcriber.transcribe
    refused = []

    async def refuse_first(self, source, asked, **how):
        if source not in refused:
            refused.append(source)
            raise Overloaded("full", retry_after_s=0)
        return await transcribe(self, source, asked, **how)

    monkeypatch.setattr(Transcriber, "transcribe", refuse_first)
    paths = [f"{files}/two.wav", f"{files}/one.wav"]
    assert main(["transcribe", "--bundle", str(folder), *paths]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2
    assert sorted(map(str, refused)) == sorted(paths)


@pytest.mark.parametrize("command", [["transcribe", "a.wav"], ["run"]])
def test_a_bad_setting_is_a_usage_error(command, monkeypatch, capsys):
    monkeypatch.setenv("STT_MAX_QUEUE", "many")
    assert main(command) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: STT_MAX_QUEUE is 'many'")
    assert len(err.splitlines()) == 1


def test_a_bad_bundle_is_one_line(tmp_path, capsys):
    assert main(["transcribe", "--bundle", str(tmp_path), "a.wav"]) == 1
    err = capsys.readouterr().err
    assert "is not a bundle" in err
    assert len(err.splitlines()) == 1


def test_the_version_is_told(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"wsm-stt {version('wsm-stt')}\n"


@pytest.mark.parametrize("arguments", [[], ["transcribe"], ["fly"]])
def test_wrong_usage_is_told(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: wsm-serve" in capsys.readouterr().err
