"""Load from a process of its own: starting `tests.benchmarks.load`, and what it reports."""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from tests.benchmarks import options
from tests.benchmarks.tables import print_table
from tests.benchmarks.timing import Estimate, estimate, ratios


@dataclass(frozen=True)
class Report:
    """What one run of the load generator saw.

    Attributes:
        requests: sent.
        errors: not answered with 200.
        wall_s: first request to last answer.
        audio_s: audio that was answered with 200.
        client_cpu_s: processor time of the generator itself, meanwhile.
        latencies_s: of each request that was answered with 200.
    """

    requests: int
    errors: int
    wall_s: float
    audio_s: float
    client_cpu_s: float
    latencies_s: list[float]

    def to_json(self) -> str:
        """One line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, line: str) -> Self:
        """Read what `to_json` wrote."""
        return cls(**json.loads(line))

    @property
    def speed(self) -> float:
        """Seconds of audio in a second."""
        return self.audio_s / self.wall_s

    @property
    def client_share(self) -> float:
        """Part of all cores' time that the generator took, 0 to 1."""
        return self.client_cpu_s / (self.wall_s * options.CORES)


@dataclass(frozen=True)
class Load:
    """A closed loop: each client sends its next request when the last one is answered.

    Attributes:
        clips: folder of WAV files.
        clients: requests under way at once.
        requests: how many in all; None means until `seconds` are over.
        seconds: how long to begin requests.
        body: `multipart` with the field `file`, or the file `raw`.
    """

    clips: Path
    clients: int = 1
    requests: int | None = None
    seconds: float | None = None
    body: str = "multipart"

    def command(self, url: str) -> list[str]:
        """How the generator is started."""
        values = {key: value for key, value in asdict(self).items() if value is not None}
        flags = [part for key, value in values.items() for part in (f"--{key}", str(value))]
        return [sys.executable, "-m", "tests.benchmarks.load", url, *flags]

    def run(self, url: str) -> Report:
        """Send everything, and wait; every request must have been answered well."""
        with self.started(url) as generator:
            return finish(generator)

    @contextmanager
    def started(self, url: str) -> Iterator["subprocess.Popen[str]"]:
        """Begin to send; what is not finished at the end is given up."""
        command, pipe = self.command(url), subprocess.PIPE
        with subprocess.Popen(command, cwd=options.ROOT, stdout=pipe, text=True) as generator:
            try:
                yield generator
            finally:
                generator.kill()


def finish(generator: "subprocess.Popen[str]") -> Report:
    """Wait for the report of a generator, and check that all went well."""
    output, _ = generator.communicate(timeout=2 * options.RUN_LIMIT_S)
    report = Report.from_json(output)
    assert report.errors == 0, f"{report.errors} of {report.requests} requests failed"
    assert len(report.latencies_s) == report.requests > 0
    return report


def speed(reports: Sequence[Report]) -> Estimate:
    """Median throughput over runs, in seconds of audio per second."""
    return estimate([report.speed for report in reports])


def latency_ms(reports: Sequence[Report], quantile: float) -> Estimate:
    """A quantile of the latencies of all runs together, in milliseconds."""
    return estimate([1e3 * one for report in reports for one in report.latencies_s], quantile)


def print_comparison(title: str, measured: dict[str, list[Report]], *notes: str) -> None:
    """Print throughput and latencies of several servers under one load; ours is the first."""
    ours = next(iter(measured.values()))
    rows = []
    for name, reports in measured.items():
        quantiles = [f"{latency_ms(reports, one):.0f}" for one in (0.5, 0.95, 0.99)]
        ratio = ratios([one.speed for one in ours], [one.speed for one in reports])
        against = "1" if reports is ours else f"{ratio:.2f}"
        client = estimate([one.client_share for one in reports]).value
        ends = f"{client:.1%}", str(len(reports))
        rows.append([name, f"{speed(reports):.0f}", *quantiles, against, *ends])
    header = ["server", "x real time", "p50 ms", "p95 ms", "p99 ms", "ours is faster by"]
    print_table(title, [*header, "client CPU", "rounds"], rows, *notes)
