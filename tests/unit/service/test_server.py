import logging

import pytest

from service.cli import main
from service.config import InvalidSettings, Settings
from service.server import check_exposure


@pytest.fixture(autouse=True)
def _quiet(monkeypatch):
    monkeypatch.setattr(logging, "basicConfig", lambda **_: None)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_this_machine_needs_no_keys(host):
    check_exposure(Settings(host=host))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.168.1.5", "127.example.org", "speech"])
def test_others_do(host, tmp_path):
    with pytest.raises(InvalidSettings, match="there are no keys"):
        check_exposure(Settings(host=host))
    check_exposure(Settings(host=host, api_keys_file=tmp_path / "keys.json"))
    check_exposure(Settings(host=host, allow_without_keys=True))


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"STT_HOST": "0.0.0.0"}, "STT_ALLOW_WITHOUT_KEYS=true"),
        ({"STT_API_KEYS_FILE": "/none.json"}, "/none.json cannot be read: No such file"),
        ({"STT_TLS_CERT": "/none.pem"}, "STT_TLS_CERT and STT_TLS_KEY belong together"),
        ({"STT_TLS_CERT": "/n.pem", "STT_TLS_KEY": "/n.key"}, "cannot be used: [Errno 2]"),
    ],
)
def test_what_cannot_be_served_is_one_line(monkeypatch, capsys, settings, told):
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    assert main(["run"]) == 2
    err = capsys.readouterr().err
    assert told in err
    assert len(err.splitlines()) == 1
