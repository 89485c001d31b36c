"""The server around the application: where it listens, and what it takes from strangers."""

import asyncio
import logging
import os
import socket
import ssl
from functools import partial

import uvicorn
from fastapi import FastAPI

from service.app import create_app
from service.config import InvalidSettings, Settings
from service.http_protocol import BoundedHttp
from service.lifecycle import Service, State

CONNECTIONS_CLOSE_S = 2
LAST_WORDS_S = 0.5  # for those who come, answered or not, as the last request ends


def run(settings: Settings) -> int:
    """Serve until it is told to stop.

    Returns:
        The exit code: 0, or 1 if it could not be served.

    Raises:
        InvalidSettings: strangers could come in, or the certificate cannot be used.
    """
    check_exposure(settings)
    app = create_app(settings, stop=lambda: setattr(server, "should_exit", True))
    server = PoliteServer(_config(app, settings))
    server.run()
    service: Service = app.state.service
    code = int(not server.started or service.state is State.FAILED)
    if service.is_broken:
        logging.shutdown()
        os._exit(code)  # a thread that hangs in the model would be waited for
    return code


class PoliteServer(uvicorn.Server):
    """Tells those who come at the very end, instead of breaking their connections."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Refuse for a moment, then let nobody in, then end."""
        await asyncio.sleep(LAST_WORDS_S)
        for server in self.servers:
            server.close()
        await asyncio.sleep(LAST_WORDS_S / 2)
        await super().shutdown(sockets)


def check_exposure(settings: Settings) -> None:
    """Refuse to let in whoever comes by, unless that is wanted.

    Raises:
        InvalidSettings: it would listen beyond the loopback interface without keys.
    """
    if settings.is_loopback or settings.api_keys_file or settings.allow_without_keys:
        return
    raise InvalidSettings(
        f"STT_HOST is {settings.host!r}, which others can reach, and there are no keys: set "
        "STT_API_KEYS_FILE (`wsm-serve keys add NAME` makes one), or STT_ALLOW_WITHOUT_KEYS=true "
        "where something else keeps strangers out"
    )


def _config(app: FastAPI, settings: Settings) -> uvicorn.Config:
    service: Service = app.state.service
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        http=partial(BoundedHttp, metrics=service.metrics),  # type: ignore[arg-type]
        ssl_certfile=settings.tls_cert,
        ssl_keyfile=settings.tls_key,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=CONNECTIONS_CLOSE_S,
        ws_max_size=settings.max_message_bytes,
        ws_ping_interval=settings.ping_interval_s,
        ws_ping_timeout=settings.ping_timeout_s,
        ws_per_message_deflate=False,  # audio does not get smaller, and text is short
    )
    try:
        config.load()
    except (OSError, ssl.SSLError) as error:
        raise InvalidSettings(
            f"STT_TLS_CERT {settings.tls_cert} and STT_TLS_KEY {settings.tls_key} "
            f"cannot be used: {error}"
        ) from error
    return config
