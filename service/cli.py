"""`wsm-serve`: the server, transcription without one, and a client that streams."""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from service import keys_command
from service.access.keys import InvalidKeys
from service.bulk import command as bulk
from service.config import InvalidSettings, Settings, load_settings
from service.errors import ServiceError
from service.live_client import (
    StreamFailed,
    Terminal,
    from_file,
    from_microphone,
    from_pipe,
    stream,
)
from service.logs import configure_logging
from service.server import run

USAGE_ERROR = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: without the program's name; None takes the process's.

    Returns:
        The exit code: 0, 1 if something failed, 2 if the settings cannot be used; for
        `transcribe` see there.
    """
    options = _parser().parse_args(arguments)
    try:
        settings = load_settings(getattr(options, "bundle", None))
        configure_logging(settings.log_level, settings.log_format)
        if options.command == "run":
            return run(settings)
        if options.command == "keys":
            return keys_command.run(options, settings)
        if options.command == "stream":
            return asyncio.run(_stream(settings, options))
        return bulk.run(settings, options)
    except (InvalidSettings, InvalidKeys) as error:
        print(f"error: {error}", file=sys.stderr)
        return USAGE_ERROR


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="wsm-serve", description="Speech to text. Settings are STT_ variables; see the README."
    )
    parser.add_argument("--version", action="version", version=f"wsm-stt {version('wsm-stt')}")
    bundle = argparse.ArgumentParser(add_help=False)
    bundle.add_argument("--bundle", type=Path, metavar="DIR", help="goes before STT_BUNDLE")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("run", parents=[bundle], help="serve over HTTP")
    bulk.add_parser(commands, bundle)
    _add_stream(commands)
    keys_command.add_parser(commands)
    return parser


def _add_stream(commands: Any) -> None:  # noqa: ANN401  argparse names no public type
    stream = commands.add_parser("stream", help="send speech to a server, and show the text")
    source = stream.add_mutually_exclusive_group(required=True)
    source.add_argument("file", nargs="?", metavar="FILE", help="audio; - is standard input")
    source.add_argument("--microphone", action="store_true", help="needs sounddevice")
    stream.add_argument("--realtime", action="store_true", help="send a file as if spoken now")
    stream.add_argument(
        "--rate", type=int, metavar="HZ", help="of 16-bit samples on -; without it, a container"
    )
    stream.add_argument("--url", help="of another server than STT_HOST and STT_PORT say")
    stream.add_argument("--api-key", metavar="KEY", help="better: STT_API_KEY, which `ps` hides")
    stream.add_argument("--language", metavar="CODE", help="what is spoken")


async def _stream(settings: Settings, options: argparse.Namespace) -> int:
    scheme = "ws" if settings.tls_cert is None else "wss"
    url = options.url or f"{scheme}://{settings.host}:{settings.port}/ws/transcribe"
    api_key = options.api_key
    if api_key is None and settings.api_key is not None:
        api_key = settings.api_key.get_secret_value()
    try:
        if options.microphone:
            speech = from_microphone()
        elif options.file == "-":
            speech = from_pipe(sys.stdin.buffer, options.rate)
        else:
            speech = await asyncio.to_thread(
                from_file, Path(options.file), in_real_time=options.realtime
            )
        terminal = Terminal(sys.stdout)
        await stream(url, speech, terminal, language=options.language, api_key=api_key)
    except OSError as error:
        print(f"error: {options.file}: {error.strerror}", file=sys.stderr)
        return 1
    except (StreamFailed, ServiceError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0
