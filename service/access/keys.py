"""API keys, and the file that they are kept in.

The file holds no key but its SHA-256. That is enough, and fast enough to be asked for each request,
since keys are never chosen by people: each has 256 random bits, so there is nothing to guess.
"""

import hashlib
import os
import secrets
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

SECRET_PREFIX = "stt_"  # so that scanners for leaked keys know one
SECRET_BYTES = 32
READABLE = 0o644  # nothing in it is secret, and the user of a container must read it


class Role(StrEnum):
    """What a key opens."""

    TRANSCRIBE = "transcribe"
    METRICS = "metrics"
    ADMIN = "admin"


class InvalidKeys(Exception):
    """A file of keys cannot be read, or a change of it cannot be made; the text says why."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Limits(_Frozen):
    """What a key may use; None is no limit.

    Attributes:
        requests_per_minute: requests and opened streams.
        audio_s_per_minute: seconds of audio, of files and streams.
        max_streams: WebSockets open at once.
    """

    requests_per_minute: Annotated[int, Field(ge=1)] | None = None
    audio_s_per_minute: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    max_streams: Annotated[int, Field(ge=1)] | None = None


class Key(_Frozen):
    """One key, as it is kept.

    Attributes:
        name: whose it is, for people; distinct in a file.
        sha256: of the key, in hexadecimal.
        roles: what it opens.
        limits: what it may use.
        created: when.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    roles: Annotated[tuple[Role, ...], Field(min_length=1)] = (Role.TRANSCRIBE,)
    limits: Limits = Limits()
    created: datetime | None = None


class _KeysFile(_Frozen):
    keys: tuple[Key, ...]

    @model_validator(mode="after")
    def _are_distinct(self) -> Self:
        for what, values in (
            ("name", [key.name for key in self.keys]),
            ("sha256", [key.sha256 for key in self.keys]),
        ):
            if repeated := {value for value in values if values.count(value) > 1}:
                raise ValueError(f"{what} {sorted(repeated)[0]!r} comes twice")
        return self


def digest_of(secret: str) -> str:
    """What is kept of a key."""
    return hashlib.sha256(secret.encode(errors="surrogatepass")).hexdigest()


def new_key(
    name: str, roles: Sequence[Role], limits: Mapping[str, float | None]
) -> tuple[str, Key]:
    """Make a key.

    Args:
        name: whose it is.
        roles: what it opens.
        limits: those of `Limits`, by name.

    Returns:
        The key itself, which is kept nowhere, and its entry.

    Raises:
        InvalidKeys: the name cannot be one, or a limit.
    """
    secret = SECRET_PREFIX + secrets.token_urlsafe(SECRET_BYTES)
    created = datetime.now(UTC).replace(microsecond=0)
    try:
        key = Key(
            name=name,
            sha256=digest_of(secret),
            roles=tuple(dict.fromkeys(roles)),
            limits=Limits.model_validate(limits),
            created=created,
        )
    except ValidationError as error:
        fault = error.errors()[0]
        raise InvalidKeys(f"{fault['loc'][-1]} {fault['input']!r}: {fault['msg']}") from error
    return secret, key


def read_keys(path: Path) -> tuple[Key, ...]:
    """Read a file of keys.

    Raises:
        InvalidKeys: there is none, or it is not one.
    """
    try:
        return _KeysFile.model_validate_json(path.read_bytes()).keys
    except OSError as error:
        raise InvalidKeys(f"{path} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        fault = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in fault["loc"]) or "document"
        raise InvalidKeys(f"{path} is no file of keys: {place}: {fault['msg']}") from error


def write_keys(path: Path, keys: Iterable[Key]) -> None:
    """Replace a file of keys; whoever reads it meanwhile sees the old one or the new one.

    Raises:
        InvalidKeys: a name comes twice, or the folder cannot be written.
    """
    try:
        text = _KeysFile(keys=tuple(keys)).model_dump_json(indent=2, exclude_defaults=True)
    except ValidationError as error:
        raise InvalidKeys(f"{path}: {error.errors()[0]['msg']}") from error
    try:
        mode = path.stat().st_mode & 0o777 if path.exists() else READABLE
        with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.chmod(file.name, mode)
        os.replace(file.name, path)
    except OSError as error:
        raise InvalidKeys(f"{path} cannot be written: {error.strerror}") from error
