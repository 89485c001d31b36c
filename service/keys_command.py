"""`wsm-serve keys`: makes, lists and removes API keys in their file."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from service.access.keys import InvalidKeys, Key, Role, new_key, read_keys, write_keys
from service.config import InvalidSettings, Settings

LIMITS = ("requests_per_minute", "audio_s_per_minute", "max_streams")


def add_parser(commands: Any) -> None:  # noqa: ANN401  argparse names no public type
    """Add the command and its own commands."""
    parent = argparse.ArgumentParser(add_help=False)
    parent.add_argument("--file", type=Path, help="goes before STT_API_KEYS_FILE")
    keys = commands.add_parser("keys", help="make, list and remove API keys")
    actions = keys.add_subparsers(dest="action", required=True)
    add = actions.add_parser("add", parents=[parent], help="make a key, and print it once")
    add.add_argument("name", metavar="NAME", help="whose it is")
    add.add_argument(
        "--role", action="append", choices=list(Role), help="what it opens; may come several times"
    )
    add.add_argument("--requests-per-minute", type=int, metavar="N")
    add.add_argument("--audio-s-per-minute", type=float, metavar="SECONDS")
    add.add_argument("--max-streams", type=int, metavar="N", help="WebSockets at once")
    actions.add_parser("list", parents=[parent], help="names, roles and limits")
    remove = actions.add_parser("remove", parents=[parent], help="a running server follows at once")
    remove.add_argument("name", metavar="NAME")


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Do what is asked for.

    Returns:
        The exit code: 0, or 1 if it cannot be done.

    Raises:
        InvalidSettings: nobody says which file.
    """
    path: Path | None = options.file or settings.api_keys_file
    if path is None:
        raise InvalidSettings("which file? Set STT_API_KEYS_FILE, or pass --file")
    try:
        match options.action:
            case "add":
                _add(path, options)
            case "list":
                _list(read_keys(path))
            case "remove":
                _remove(path, options.name)
    except InvalidKeys as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _add(path: Path, options: argparse.Namespace) -> None:
    keys = read_keys(path) if path.exists() else ()
    roles = [Role(role) for role in options.role or [Role.TRANSCRIBE]]
    limits = {name: getattr(options, name) for name in LIMITS}
    secret, key = new_key(options.name, roles, limits)
    write_keys(path, [*keys, key])
    print(secret)
    print("This is the only time that it is shown; the file has its SHA-256.", file=sys.stderr)


def _list(keys: Sequence[Key]) -> None:
    for key in keys:
        limits = [f"{name}={value:g}" for name in LIMITS if (value := getattr(key.limits, name))]
        created = "" if key.created is None else key.created.date().isoformat()
        print("\t".join([key.name, ",".join(key.roles), created, " ".join(limits)]).rstrip())


def _remove(path: Path, name: str) -> None:
    keys = read_keys(path)
    if name not in {key.name for key in keys}:
        raise InvalidKeys(f"{path} has no key {name!r}")
    write_keys(path, [key for key in keys if key.name != name])
