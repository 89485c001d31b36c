"""Measurements in processes of their own, which may run out of memory or of time."""

import json
import select
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.benchmarks import options


class GivenUp(Exception):
    """A measurement could not be finished; the message says why, for a table."""


class Attempt:
    """A measurement that is not tried again once it was given up.

    Args:
        measure: gives a value, or raises `GivenUp`.

    Attributes:
        failure: why it was given up; empty if it was not.
    """

    def __init__(self, measure: Callable[[], Any]) -> None:
        self._measure = measure
        self.failure = ""

    def __call__(self) -> Any:
        """The value; None once given up."""
        if self.failure:
            return None
        try:
            return self._measure()
        except GivenUp as reason:
            self.failure = str(reason)
            return None


def one_pass(folder: Path, seconds: float) -> dict[str, float]:
    """`tests.benchmarks.one_pass`: the seconds and peak bytes of one pass.

    Raises:
        GivenUp: out of memory or of time.
    """
    return _measured("one_pass", folder, seconds)


def training_step(folder: Path, recipe: str, clips: int, seconds: float) -> dict[str, float]:
    """`tests.benchmarks.training_step`: the seconds and peak bytes of learning from a batch.

    Raises:
        GivenUp: out of memory or of time.
    """
    return _measured("training_step", folder, recipe, clips, seconds)


def _measured(module: str, *arguments: object) -> dict[str, float]:
    command = [sys.executable, "-m", f"tests.benchmarks.{module}", *map(str, arguments)]
    try:
        done = subprocess.run(
            command,
            cwd=options.ROOT,
            stdout=subprocess.PIPE,
            check=True,
            timeout=options.RUN_LIMIT_S,
        )
    except subprocess.TimeoutExpired as error:
        raise _too_slow() from error
    return _read(done.stdout.decode())


class Pipeline:
    """transformers' pipeline in a process that lives as long as it is not given up.

    Args:
        process: with lines of JSON on standard input and output.
    """

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process

    def recognise(self, clips: list[Path]) -> float:
        """Seconds that it takes for these files, one after the other.

        Raises:
            GivenUp: out of memory or of time.
        """
        return self.ask({"clips": [str(clip) for clip in clips]})["seconds"]

    def compute_front_end(self, seconds: float) -> float:
        """Seconds that the convolutional features of so much audio take.

        Raises:
            GivenUp: out of memory or of time.
        """
        return self.ask({"front_end_s": seconds})["seconds"]

    def ask(self, request: dict[str, Any] | None = None) -> dict[str, float]:
        """Send a request, if there is one, and read the next answer."""
        sent, received = self._process.stdin, self._process.stdout
        if sent is None or received is None or self._process.poll() is not None:
            raise GivenUp("given up before")
        if request is not None:
            sent.write(json.dumps(request).encode() + b"\n")
            sent.flush()
        if not select.select([received], [], [], options.RUN_LIMIT_S)[0]:
            self._process.kill()
            raise _too_slow()
        return _read(received.readline().decode())


@contextmanager
def pipeline(model: Path, chunk_s: float | None = None) -> Iterator[Pipeline]:
    """The pipeline, ready to be asked."""
    command = [sys.executable, "-m", "tests.benchmarks.peers.transformers_pipeline", str(model)]
    with subprocess.Popen(
        command + ([] if chunk_s is None else [str(chunk_s)]),
        cwd=options.ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        try:
            started = Pipeline(process)
            started.ask()
            yield started
        finally:
            process.kill()


def _read(line: str) -> dict[str, float]:
    if not line:
        raise GivenUp("killed for memory")
    answer: dict[str, Any] = json.loads(line)
    if "failure" in answer:
        raise GivenUp(answer["failure"])
    return answer


def _too_slow() -> GivenUp:
    return GivenUp(f"more than {options.RUN_LIMIT_S:.0f} s")
