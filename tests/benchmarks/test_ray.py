"""Ray with one actor or replica and with two, each with a core of its own."""

import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from ray_processes import FOLDER, environment, needs_ray
from ray_serving import serving
from recordings import recordings

from tests.benchmarks import options
from tests.benchmarks.tables import print_table

COPIES = 15
ROUNDS = min(options.ROUNDS, 3)
CLIENTS = 8


def job_s(source, out, actors):
    """Seconds of the whole job, and until its first part was written."""
    command = [sys.executable, FOLDER / "transcribe.py", source, "--out", out]
    started_s = time.monotonic()
    with subprocess.Popen(
        [*map(str, command), "--actors", str(actors), "--batch-size", "16"],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        lines = [(time.monotonic() - started_s, line) for line in process.stdout]
    assert process.returncode == 0
    first_s = next(at_s for at_s, line in lines if " files, 0 failed" in line)
    return time.monotonic() - started_s, first_s


@pytest.mark.bench
@needs_ray
def test_two_actors_against_one(tmp_path):
    source = tmp_path / "files"
    source.mkdir()
    spoken = recordings()
    for copy in range(COPIES):
        for one in spoken:
            (source / f"{copy}-{one.path.name}").write_bytes(one.path.read_bytes())
    audio_s = COPIES * sum(one.waveform().size for one in spoken) / 16_000
    rows, wholes = [], {1: [], 2: []}
    for round_ in range(ROUNDS):
        for actors in wholes:
            wholes[actors].append(job_s(source, tmp_path / f"{round_}-{actors}", actors))
    for actors, found in wholes.items():
        whole_s = statistics.median(whole for whole, _ in found)
        first_s = statistics.median(first for _, first in found)
        rows.append([str(actors), f"{whole_s:.1f}", f"{first_s:.1f}", f"{audio_s / whole_s:.0f}x"])
    ratios = [one[0] / two[0] for one, two in zip(wholes[1], wholes[2], strict=True)]
    print_table(
        f"{audio_s:.0f} s of speech in {COPIES * len(spoken)} files, medians of {ROUNDS}",
        ["actors", "whole job, s", "first part, s", "speed, start included"],
        rows,
        f"two against one: {statistics.median(ratios):.2f} [{min(ratios):.2f}, {max(ratios):.2f}]",
    )


def answering_s(client, wanted):
    """Seconds until as many clients as there are have got all these answers."""

    def ask(recording):
        answer = client.post("/transcribe", files={"file": recording.path.read_bytes()})
        assert answer.status_code == 200, answer.text

    started_s = time.monotonic()
    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(ask, wanted))
    return time.monotonic() - started_s


@pytest.mark.bench
@needs_ray
def test_two_replicas_against_one(tmp_path):
    wanted = recordings() * COPIES
    audio_s = sum(one.waveform().size for one in wanted) / 16_000
    found = {}
    for replicas in (1, 2):
        folder = tmp_path / str(replicas)
        folder.mkdir()
        with serving(folder, replicas) as cluster:
            answering_s(cluster.client, recordings())
            found[replicas] = [answering_s(cluster.client, wanted) for _ in range(ROUNDS)]
    rows = [
        [
            str(replicas),
            f"{statistics.median(times):.1f}",
            f"{audio_s / statistics.median(times):.0f}x",
        ]
        for replicas, times in found.items()
    ]
    ratio = statistics.median(found[1]) / statistics.median(found[2])
    print_table(
        f"Ray Serve, {CLIENTS} clients, {audio_s:.0f} s of speech, medians of {ROUNDS}",
        ["replicas", "all answered, s", "speed"],
        rows,
        f"two against one: {ratio:.2f} [{min(found[1]) / max(found[2]):.2f}, "
        f"{max(found[1]) / min(found[2]):.2f}]",
    )
