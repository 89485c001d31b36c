"""`wsm-serve transcribe`."""

import argparse
import asyncio
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, get_args
from urllib.parse import urlsplit

from service.bulk import here, remote
from service.bulk.client import Server
from service.bulk.formats import Format
from service.bulk.outcomes import ExitCode, NothingGoes, Recognise
from service.bulk.tasks import find, plan
from service.bulk.work import Work, tell
from service.config import Settings
from service.errors import InvalidRequest
from service.options import FIELDS, Decoding, Options

PARALLEL_REQUESTS = 8
SLACK_S = 60.0  # the server gives up first
EPILOG = """\
Without --format and --out, texts are printed. With them they are written, each file whole or not
at all; what is there already and newer than the audio is left out, so that the same command goes on
where it was stopped. Exit codes: 0 all is transcribed, 1 something failed, 2 wrong usage or
settings, 130 stopped by Ctrl-C.
"""


def add_parser(commands: Any, bundle: argparse.ArgumentParser) -> None:  # noqa: ANN401  argparse names no public type
    """Add the command to those of a program."""
    parser = commands.add_parser(
        "transcribe",
        parents=[bundle],
        help="transcribe files and folders, here or by a server",
        epilog=EPILOG,
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="PATH", help="files and folders")
    parser.add_argument(
        "--format",
        action="append",
        type=_formats,
        metavar="FORMAT",
        help=f"write {', '.join(Format)}; several with commas (default with --out: txt)",
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="for texts (default: beside files)")
    parser.add_argument("--overwrite", action="store_true", help="what is there already, too")
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")
    parser.add_argument("--model", help="name of the model, where there are several")
    parser.add_argument("--language", metavar="CODE", help="what is spoken")
    parser.add_argument(
        "--decoding", choices=get_args(Decoding), help="how words are found (STT_DECODING)"
    )
    parser.add_argument(
        "--hot-words", default="", metavar="WORDS", help="to expect, with commas between them"
    )
    parser.add_argument("--url", type=_url, help="of a running server; without it, done here")
    parser.add_argument("--api-key", metavar="KEY", help="better: STT_API_KEY, which `ps` hides")
    parser.add_argument("--parallel", type=_positive, metavar="N", help="files in work at once")


def run(settings: Settings, options: argparse.Namespace) -> int:
    """Do what is asked for.

    Returns:
        An `ExitCode`.
    """
    formats = tuple(dict.fromkeys(form for listed in options.format or () for form in listed))
    if options.out is not None and not formats:
        formats = (Format.TXT,)
    try:
        asked = Options.of({name: getattr(options, name) for name in FIELDS})
        tasks = plan(list(find(options.files)), formats, options.out)
        work = Work(tasks, as_json=options.json, overwrite=options.overwrite)
        return asyncio.run(_do(work, settings, options, asked))
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except InvalidRequest as error:
        return tell(NothingGoes(error.message, ExitCode.USAGE))
    except NothingGoes as error:
        return tell(error)


async def _do(work: Work, settings: Settings, options: argparse.Namespace, asked: Options) -> int:
    if not work.is_left:
        return work.end()
    parallel = options.parallel or _usual_parallel(settings, options)
    async with _recognising(settings, options, asked, parallel) as recognise:
        return await work.do(recognise, parallel)


def _recognising(
    settings: Settings, options: argparse.Namespace, asked: Options, parallel: int
) -> AbstractAsyncContextManager[Recognise]:
    if options.url is None:
        return here.recognising(settings, asked)
    fields = {name: getattr(options, name) for name in FIELDS if getattr(options, name)}
    api_key = options.api_key
    if api_key is None and settings.api_key is not None:
        api_key = settings.api_key.get_secret_value()
    server = Server(options.url, api_key, settings.request_timeout_s + SLACK_S, fields)
    return remote.recognising(server, parallel)


def _usual_parallel(settings: Settings, options: argparse.Namespace) -> int:
    return PARALLEL_REQUESTS if options.url else here.parallel_files(settings)


def _formats(listed: str) -> tuple[Format, ...]:
    return tuple(Format(name.strip().lower()) for name in listed.split(","))


def _positive(text: str) -> int:
    if (number := int(text)) < 1:
        raise ValueError(text)
    return number


def _url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise argparse.ArgumentTypeError(f"{text!r} is not http://HOST:PORT")
    return text
