import logging

import pytest

from service.access.guard import Guard
from service.access.keys import Role, read_keys
from service.cli import main
from service.errors import Unauthorized


@pytest.fixture(autouse=True)
def _quiet(monkeypatch):
    monkeypatch.setattr(logging, "basicConfig", lambda **_: None)


@pytest.fixture
def path(tmp_path, monkeypatch):
    path = tmp_path / "keys.json"
    monkeypatch.setenv("STT_API_KEYS_FILE", str(path))
    return path


def add(capsys, *arguments):
    assert main(["keys", "add", *arguments]) == 0
    out, err = capsys.readouterr()
    assert "only time" in err
    return out.strip()


def test_a_key_is_printed_once_and_valid_until_it_is_removed(path, capsys):
    app = add(capsys, "app")
    operator = add(capsys, "operator", "--role", "admin", "--role", "metrics")
    guard = Guard(path)
    guard.let_in(app, Role.TRANSCRIBE)
    guard.let_in(operator, Role.ADMIN)
    assert main(["keys", "remove", "app"]) == 0
    with pytest.raises(Unauthorized):
        guard.let_in(app, Role.TRANSCRIBE)
    guard.let_in(operator, Role.METRICS)


def test_the_list_has_everything_but_keys(path, capsys):
    limits = ("--requests-per-minute", "60", "--audio-s-per-minute", "90.5", "--max-streams", "2")
    secret = add(capsys, "app", *limits)
    assert main(["keys", "list"]) == 0
    out = capsys.readouterr().out
    (entry,) = read_keys(path)
    assert out == (
        f"app\ttranscribe\t{entry.created.date()}\t"
        "requests_per_minute=60 audio_s_per_minute=90.5 max_streams=2\n"
    )
    assert secret not in out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["add", "app"], "name 'app' comes twice"),
        (["add", "no such name"], "name 'no such name': String should match"),
        (["add", "b", "--max-streams", "0"], "max_streams 0: Input should be greater"),
        (["remove", "b"], "has no key 'b'"),
        (["list", "--file", "none.json"], "none.json cannot be read: No such file"),
    ],
)
def test_what_cannot_be_done_is_one_line(path, capsys, arguments, told):
    add(capsys, "app")
    before = path.read_bytes()
    assert main(["keys", *arguments]) == 1
    err = capsys.readouterr().err
    assert told in err
    assert len(err.splitlines()) == 1
    assert path.read_bytes() == before


def test_without_a_file_it_asks_which(capsys):
    assert main(["keys", "list"]) == 2
    assert "STT_API_KEYS_FILE" in capsys.readouterr().err
