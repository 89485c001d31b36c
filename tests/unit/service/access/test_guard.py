import os

import pytest

from service.access.guard import Guard
from service.access.keys import InvalidKeys, Limits, Role, new_key, write_keys
from service.errors import Forbidden, RateLimited, Unauthorized


class Keys:
    """A file of keys, and the keys that are in it."""

    def __init__(self, path):
        self.path = path
        self.entries = {}
        self._write()

    def add(self, name, *roles, **limits):
        secret, self.entries[name] = new_key(name, roles or (Role.TRANSCRIBE,), limits)
        self._write()
        return secret

    def remove(self, name):
        del self.entries[name]
        self._write()

    def change(self, name, **limits):
        entry = self.entries[name]
        self.entries[name] = entry.model_copy(update={"limits": Limits(**limits)})
        self._write()

    def _write(self):
        write_keys(self.path, self.entries.values())


@pytest.fixture
def keys(tmp_path):
    return Keys(tmp_path / "keys.json")


def test_each_role_opens_its_own_door_only(keys):
    secrets = {role: keys.add(str(role), role) for role in Role}
    guard = Guard(keys.path)
    assert guard.asks_for_keys
    for asked in Role:
        for role, secret in secrets.items():
            if role is asked:
                guard.let_in(secret, asked)
            else:
                with pytest.raises(Forbidden, match=f"not for {asked}"):
                    guard.let_in(secret, asked)


@pytest.mark.parametrize("secret", ["", "stt_", "stt_" + "A" * 43, "é\udcff", "x" * 10_000])
@pytest.mark.parametrize("role", Role)
def test_other_keys_open_nothing(keys, secret, role):
    keys.add("app", *Role)
    with pytest.raises(Unauthorized, match="not valid"):
        Guard(keys.path).let_in(secret, role)


def test_no_key_opens_nothing(keys):
    for role in Role:
        with pytest.raises(Unauthorized, match="an API key is needed"):
            Guard(keys.path).let_in(None, role)


def test_metrics_may_be_open_while_the_rest_is_not(keys):
    guard = Guard(keys.path, metrics_are_open=True)
    guard.let_in(None, Role.METRICS)
    for role in (Role.TRANSCRIBE, Role.ADMIN):
        with pytest.raises(Unauthorized):
            guard.let_in(None, role)


def test_without_keys_all_but_administration_is_open():
    guard = Guard(None)
    assert not guard.asks_for_keys
    for role in (Role.TRANSCRIBE, Role.METRICS):
        assert guard.let_in(None, role).headers() == {}
        guard.let_in("whatever an SDK wants", role)
    with pytest.raises(Forbidden, match="there are no keys"):
        guard.let_in("anything", Role.ADMIN)


def test_keys_rotate_while_it_runs(keys, caplog):
    old = keys.add("old")
    guard = Guard(keys.path)
    new = keys.add("new")
    for secret in (old, new):
        guard.let_in(secret, Role.TRANSCRIBE)
    keys.remove("old")
    guard.let_in(new, Role.TRANSCRIBE)
    with pytest.raises(Unauthorized):
        guard.let_in(old, Role.TRANSCRIBE)


@pytest.mark.parametrize("harm", ["damage", "remove"])
def test_a_slip_with_the_file_locks_nobody_out(keys, caplog, harm):
    secret = keys.add("app")
    guard = Guard(keys.path)
    if harm == "remove":
        keys.path.unlink()
    else:
        keys.path.write_text("{")
    for _ in range(3):
        guard.let_in(secret, Role.TRANSCRIBE)
    assert caplog.text.count("the keys stay as they were") == 1
    with pytest.raises(InvalidKeys):
        Guard(keys.path)
    keys.remove("app")
    with pytest.raises(Unauthorized):
        guard.let_in(secret, Role.TRANSCRIBE)


def test_a_file_with_the_same_time_and_size_is_read_again(keys):
    first = keys.add("app")
    guard = Guard(keys.path)
    status = keys.path.stat()
    keys.remove("app")
    second = keys.add("app")
    os.utime(keys.path, ns=(status.st_atime_ns, status.st_mtime_ns))
    guard.let_in(second, Role.TRANSCRIBE)
    with pytest.raises(Unauthorized):
        guard.let_in(first, Role.TRANSCRIBE)


def test_what_a_key_has_used_outlives_a_change_of_the_file(keys):
    secret = keys.add("app", requests_per_minute=2)
    guard = Guard(keys.path, clock=lambda: 0.0)
    guard.let_in(secret, Role.TRANSCRIBE).check()
    keys.add("other")
    guard.let_in(secret, Role.TRANSCRIBE).check()
    with pytest.raises(RateLimited):
        guard.let_in(secret, Role.TRANSCRIBE).check()
    keys.change("app", requests_per_minute=3)
    guard.let_in(secret, Role.TRANSCRIBE).check()


def test_every_key_is_compared_in_constant_time(keys, monkeypatch):
    secrets = [keys.add(name) for name in ("first", "second", "third")]
    guard = Guard(keys.path)
    compared = []

    def compare(left, right):
        compared.append(left)
        return left == right

    monkeypatch.setattr("service.access.key_ring.hmac.compare_digest", compare)
    for secret in secrets:
        compared.clear()
        guard.let_in(secret, Role.TRANSCRIBE)
        assert len(compared) == 3
