"""Transcribe many files with Ray Data: a folder or a list of URIs in, JSONL or Parquet out.

    python deploy/ray/transcribe.py s3://bucket/calls --out results --actors 8

Files are grouped into batches, and each batch becomes one part, written whole or not at all under a
name made of its URIs. So a batch that Ray gives to a second actor replaces the part of the first,
and a run that was killed goes on: what lies in a part is left out.
"""

# ruff: noqa: T201  it is a command

import argparse
import os
import sys
from collections import Counter
from collections.abc import Sequence

import ray
from actors import TranscribeBatch, cpus_per_actor
from files import listed_uris
from parts import FORMATS, Parts, in_batches

from service.config import PREFIX, InvalidSettings, load_settings

OBJECT_STORE_BYTES = 200 * 1024**2  # only lists of URIs and counts pass through it


def main(arguments: Sequence[str] | None = None) -> int:
    """Transcribe what has no result yet.

    Args:
        arguments: without the program's name; None takes the process's.

    Returns:
        The exit code: 0, 1 if some files have no transcript, 2 if the settings cannot be used.
    """
    options = _parser().parse_args(arguments)
    try:
        settings = load_settings()
    except InvalidSettings as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    parts = Parts(options.out, options.format)
    known = parts.outcomes()
    uris = [uri for uri in listed_uris(options.source) if uri not in known]
    print(f"{len(known)} files have a result, {len(uris)} are to be transcribed", flush=True)
    if uris:
        _connect(options.address)
        _transcribe(in_batches(uris, options.batch_size), parts, options, cpus_per_actor(settings))
    return _report(parts.outcomes())


def _transcribe(
    batches: list[dict[str, object]], parts: Parts, options: argparse.Namespace, cpus: int
) -> None:
    """Let every batch pass through one of the actors; each holds one engine."""
    done = ray.data.from_items(batches, override_num_blocks=len(batches)).map(
        TranscribeBatch,
        fn_constructor_args=(parts,),
        compute=ray.data.ActorPoolStrategy(size=min(options.actors, len(batches))),
        num_cpus=cpus,
        num_gpus=options.gpus,
    )
    for row in done.iter_rows():
        print(f"{row['part']}: {row['files']} files, {row['failures']} failed", flush=True)


def _report(outcomes: dict[str, str | None]) -> int:
    failures = {uri: code for uri, code in outcomes.items() if code is not None}
    for uri, code in sorted(failures.items()):
        print(f"{uri}: {code}", file=sys.stderr)
    reasons = ", ".join(f"{count} {code}" for code, count in Counter(failures.values()).items())
    print(f"{len(outcomes) - len(failures)} transcribed, {len(failures)} failed: {reasons or '-'}")
    return int(bool(failures))


def _connect(address: str | None) -> None:
    """Join a cluster, or start one here; its actors see our settings and these modules."""
    here = os.path.dirname(os.path.abspath(__file__))
    ours = {name: value for name, value in os.environ.items() if name.startswith(PREFIX)}
    environment = {"env_vars": ours, "working_dir": here}
    if address is not None:
        ray.init(address, runtime_env=environment)
        return
    ray.init(
        "local",
        include_dashboard=False,
        object_store_memory=OBJECT_STORE_BYTES,
        runtime_env=environment,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="transcribe.py", description="Transcribe many files. STT_ variables are the settings."
    )
    parser.add_argument("source", help="folder or URI of one, or @LIST: a file with a URI a line")
    parser.add_argument("--out", required=True, help="folder or URI of the parts")
    parser.add_argument("--format", choices=FORMATS, default="jsonl")
    parser.add_argument("--actors", type=int, default=1, help="engines at once")
    parser.add_argument("--gpus", type=float, default=0, help="part of a GPU for each actor")
    parser.add_argument("--batch-size", type=int, default=32, help="files in a part")
    parser.add_argument("--address", help="of a Ray cluster; without, one is started here")
    return parser


if __name__ == "__main__":
    sys.exit(main())
