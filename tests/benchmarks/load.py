"""The load generator: a closed loop of clients over real sockets, in a process of its own.

    python -m tests.benchmarks.load http://127.0.0.1:8000/transcribe --clips FOLDER --clients 8

Bodies are made before the clock starts, connections are kept, and the processor time that the
generator takes is part of its report, a line of JSON.
"""

import argparse
import asyncio
import random
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain, count
from pathlib import Path

import aiohttp

from tests.benchmarks.clients import Report

WAV_HEADER_BYTES, BYTES_PER_S = 44, 32_000  # 16 kHz, 16 bit, mono
BOUNDARY = "wsm-stt-benchmark"
MULTIPART = f"multipart/form-data; boundary={BOUNDARY}"
PATIENCE = aiohttp.ClientTimeout(total=4 * 3600)


@dataclass(frozen=True)
class Clip:
    """A request that is ready to be sent."""

    body: bytes
    audio_s: float


@dataclass
class Tally:
    """What happened so far."""

    errors: int = 0
    audio_s: float = 0.0
    latencies_s: list[float] = field(default_factory=list)


def main() -> None:
    """Send the requests and print the report."""
    options = _options()
    clips = [_clip(path, options.body) for path in sorted(options.clips.glob("*.wav"))]
    print(asyncio.run(_run(options, clips)).to_json())


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--clips", type=Path, required=True, help="folder of 16 kHz WAV files")
    parser.add_argument("--clients", type=int, default=1)
    amount = parser.add_mutually_exclusive_group(required=True)
    amount.add_argument("--requests", type=int)
    amount.add_argument("--seconds", type=float)
    parser.add_argument("--body", choices=("multipart", "raw"), default="multipart")
    parser.add_argument("--seed", type=int, default=0, help="of the order of the clips")
    return parser.parse_args()


def _clip(path: Path, body: str) -> Clip:
    wav = path.read_bytes()
    audio_s = (len(wav) - WAV_HEADER_BYTES) / BYTES_PER_S
    return Clip(wav if body == "raw" else _multipart(wav), audio_s)


def _multipart(wav: bytes) -> bytes:
    head = 'Content-Disposition: form-data; name="file"; filename="clip.wav"\r\n'
    kind = "Content-Type: audio/wav\r\n\r\n"
    opening, closing = f"--{BOUNDARY}\r\n{head}{kind}", f"\r\n--{BOUNDARY}--\r\n"
    return opening.encode() + wav + closing.encode()


async def _run(options: argparse.Namespace, clips: list[Clip]) -> Report:
    tally = Tally()
    content_type = MULTIPART if options.body == "multipart" else "audio/wav"
    connector = aiohttp.TCPConnector(limit=0, force_close=False)
    async with aiohttp.ClientSession(
        connector=connector, timeout=PATIENCE, headers={"Content-Type": content_type}
    ) as session:
        start_s, cpu_s = time.monotonic(), time.process_time()
        work = _work(clips, options, start_s)
        await asyncio.gather(
            *(_client(session, options.url, work, tally) for _ in range(options.clients))
        )
        wall_s, cpu_s = time.monotonic() - start_s, time.process_time() - cpu_s
    answered = len(tally.latencies_s)
    return Report(
        answered + tally.errors, tally.errors, wall_s, tally.audio_s, cpu_s, tally.latencies_s
    )


def _work(clips: list[Clip], options: argparse.Namespace, start_s: float) -> Iterator[Clip]:
    """The clips in shuffled rounds, each clip equally often, until it is enough."""
    draw = random.Random(options.seed)
    endless = chain.from_iterable(draw.sample(clips, len(clips)) for _ in count())
    for sent, clip in enumerate(endless):
        over = options.seconds is not None and time.monotonic() - start_s > options.seconds
        if over or sent == options.requests:
            return
        yield clip


async def _client(
    session: aiohttp.ClientSession, url: str, work: Iterator[Clip], tally: Tally
) -> None:
    for clip in work:
        start_s = time.monotonic()
        try:
            async with session.post(url, data=clip.body) as answer:
                text = await answer.read()
                failure = "" if answer.status == 200 else f"{answer.status}: {text[:200]!r}"
        except (OSError, aiohttp.ClientError, TimeoutError) as error:
            failure = repr(error)
        if failure:
            tally.errors += 1
            print(failure, file=sys.stderr)
        else:
            tally.latencies_s.append(time.monotonic() - start_s)
            tally.audio_s += clip.audio_s


if __name__ == "__main__":
    main()
