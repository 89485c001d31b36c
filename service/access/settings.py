"""The settings of where the service listens, and of who may come in."""

from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    model_validator,
)
from pydantic_settings import NoDecode

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")


def _split(value: object) -> object:
    if not isinstance(value, str):
        return value
    return tuple(filter(None, map(str.strip, value.split(","))))


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]


class AccessSettings(BaseModel):
    """A part of `service.config.Settings`."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    host: str = "127.0.0.1"
    """Address to listen on; 0.0.0.0 for every interface."""

    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    """TCP port to listen on; 0 takes any free one."""

    api_keys_file: Path | None = None
    """File of the API keys that requests need, made by `wsm-serve keys`; unset asks nobody for one.
    It is read again when it changes."""

    allow_without_keys: bool = False
    """Listen beyond the loopback interface without keys. Only where something else keeps strangers
    out: whoever reaches the port may transcribe."""

    open_metrics: bool = False
    """Answer `/metrics` without a key where the rest needs one; for networks of one's own."""

    allowed_hosts: Names | None = None
    """Names, with commas between them, by which the service may be called; unset takes those of the
    loopback interface where it listens on that without keys, so that no page of a stranger reaches
    it through a browser here, and any elsewhere."""

    cors_origins: Names = ()
    """Origins, such as `https://app.example.org`, with commas between them, whose pages may ask
    this service and open streams; `*` for all. None may otherwise, but for its own page."""

    tls_cert: Path | None = None
    """Certificate chain in PEM; with `tls_key` the server speaks TLS itself. Read at the start."""

    tls_key: Path | None = None
    """Private key of the certificate, in PEM."""

    api_key: SecretStr | None = None
    """Key that the clients, `wsm-serve stream` and `transcribe --url`, show to a server; the server
    does not read it."""

    @model_validator(mode="after")
    def _tls_is_whole(self) -> Self:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("STT_TLS_CERT and STT_TLS_KEY belong together")
        return self

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def hosts(self) -> tuple[str, ...]:
        """Names by which it may be called; empty for any."""
        if self.allowed_hosts is not None:
            return self.allowed_hosts
        return LOOPBACK_NAMES if self.is_loopback and self.api_keys_file is None else ()
