"""Files of API keys for tests."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from service.access.keys import Role, new_key, write_keys


def make_keys(path: Path, asked: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Write a file of keys; roles and limits by name in, keys by name out."""
    secrets, entries = {}, []
    for name, limits in asked.items():
        roles = limits.get("roles", (Role.TRANSCRIBE,))
        given = {key: value for key, value in limits.items() if key != "roles"}
        secrets[name], entry = new_key(name, roles, given)
        entries.append(entry)
    write_keys(path, entries)
    return secrets
