from pathlib import Path

import pytest
from pydantic import ValidationError

from service.config import PACKAGED_BUNDLE, InvalidSettings, Settings, load_settings


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch):
    for name in Settings.model_fields:
        monkeypatch.delenv(f"STT_{name.upper()}", raising=False)


def test_defaults_serve_the_packaged_bundle_on_this_machine_only():
    settings = load_settings()
    assert settings.bundle == PACKAGED_BUNDLE
    assert (settings.host, settings.port) == ("127.0.0.1", 8000)
    assert settings.max_upload_bytes == 512 * 1024**2
    assert settings.max_audio_s == 7200
    assert settings.request_timeout_s == 900


def test_the_environment_sets_them(monkeypatch, tmp_path):
    monkeypatch.setenv("STT_PORT", "9000")
    monkeypatch.setenv("STT_THREADS", "3")
    monkeypatch.setenv("STT_BUNDLE", str(tmp_path))
    settings = load_settings()
    assert (settings.port, settings.threads, settings.bundle) == (9000, 3, tmp_path)


def test_a_packaged_bundle_is_found_by_its_name(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STT_BUNDLE", "english")
    assert load_settings().bundle == PACKAGED_BUNDLE
    (tmp_path / "english").mkdir()
    assert load_settings().bundle == Path("english")
    monkeypatch.setenv("STT_BUNDLE", "klingon")
    assert load_settings().bundle == Path("klingon")


def test_an_empty_variable_is_as_good_as_none(monkeypatch):
    monkeypatch.setenv("STT_PORT", "")
    assert load_settings().port == 8000


def test_an_argument_goes_before_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("STT_BUNDLE", "/elsewhere")
    assert load_settings(tmp_path).bundle == tmp_path


@pytest.mark.parametrize(
    ("variable", "found", "told"),
    [
        ("STT_PORT", "70000", "65535"),
        ("STT_PORT", "tcp://10.0.0.1:8000", "integer"),
        ("STT_DEVICE", "tpu", "'auto', 'cpu' or 'cuda'"),
        ("STT_MAX_AUDIO_S", "-1", "greater than 0"),
        ("STT_MAX_AUDIO_S", "inf", "finite"),
        ("STT_MAX_WAIT_MS", "nan", "10000"),
        ("STT_MAX_QUEUE", "0", "greater than or equal to 1"),
    ],
)
def test_a_bad_value_is_told_with_its_variable_and_the_limit(monkeypatch, variable, found, told):
    monkeypatch.setenv(variable, found)
    with pytest.raises(InvalidSettings) as caught:
        load_settings()
    message = str(caught.value)
    assert variable in message
    assert repr(found) in message
    assert told in message


def test_settings_do_not_change():
    with pytest.raises(ValidationError):
        load_settings().port = 1


def test_every_setting_is_described():
    assert all(field.description for field in Settings.model_fields.values())
