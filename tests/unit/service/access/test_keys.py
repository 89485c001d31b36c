import json
import stat

import pytest

from service.access.keys import InvalidKeys, Role, digest_of, new_key, read_keys, write_keys

TRANSCRIBE = (Role.TRANSCRIBE,)


def test_what_is_written_is_read_and_holds_no_key(tmp_path):
    path = tmp_path / "keys.json"
    limits = {"requests_per_minute": 60, "audio_s_per_minute": 600.5, "max_streams": 2}
    secrets, keys = zip(
        new_key("app", TRANSCRIBE, limits),
        new_key("operator", (Role.METRICS, Role.ADMIN), {}),
        strict=True,
    )
    write_keys(path, keys)
    assert read_keys(path) == keys
    text = path.read_text()
    for secret, key in zip(secrets, keys, strict=True):
        assert secret.startswith("stt_")
        assert len(secret) > 40
        assert secret not in text
        assert key.sha256 == digest_of(secret)
    assert len(set(secrets)) == 2


def test_writing_keeps_the_files_rights_and_leaves_nothing_beside_it(tmp_path):
    path = tmp_path / "keys.json"
    write_keys(path, [])
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    path.chmod(0o640)
    write_keys(path, [new_key("app", TRANSCRIBE, {})[1]])
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["", "a b", "ä", "../a", "x" * 65])
def test_names_are_short_and_plain(name):
    with pytest.raises(InvalidKeys, match=r"^name "):
        new_key(name, TRANSCRIBE, {})


def test_a_name_comes_once(tmp_path):
    keys = [new_key("app", TRANSCRIBE, {})[1] for _ in range(2)]
    with pytest.raises(InvalidKeys, match="name 'app' comes twice"):
        write_keys(tmp_path / "keys.json", keys)


@pytest.mark.parametrize(
    ("entry", "fault"),
    [
        ({"sha256": "0" * 64}, "name: Field required"),
        ({"name": "a", "sha256": "secret"}, "sha256: String should match"),
        ({"name": "a", "sha256": "0" * 64, "roles": []}, "roles: Tuple should have at least 1"),
        ({"name": "a", "sha256": "0" * 64, "roles": ["root"]}, "roles.0: Input should be"),
        ({"name": "a", "sha256": "0" * 64, "limits": {"max_streams": 0}}, "max_streams"),
        ({"name": "a", "sha256": "0" * 64, "expires": "never"}, "expires: Extra inputs"),
    ],
)
def test_a_wrong_file_is_told_without_its_content(tmp_path, entry, fault):
    path = tmp_path / "keys.json"
    path.write_text(json.dumps({"keys": [entry]}))
    with pytest.raises(InvalidKeys, match=fault) as caught:
        read_keys(path)
    assert str(path) in str(caught.value)
    assert "secret" not in str(caught.value)


def test_no_file_is_told(tmp_path):
    with pytest.raises(InvalidKeys, match="cannot be read: No such file"):
        read_keys(tmp_path / "keys.json")
