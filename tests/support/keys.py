"""Files of API keys, and keys that sign bundles."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

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


def make_signing_keys(
    folder: Path, kind: Callable[[], Any] = Ed25519PrivateKey.generate
) -> tuple[Path, Path]:
    """Write a private key and its public one, in PEM as OpenSSL does, into a new folder."""
    folder.mkdir()
    key, private, public = kind(), folder / "key.pem", folder / "public.pem"
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(
        key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    return private, public
