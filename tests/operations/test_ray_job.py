"""The Ray Data job: killed as a whole, then an actor of it, and nothing lost or twice there."""

import json
import os
import signal
import subprocess
import sys

import pyarrow.parquet as pq
import pytest
from patience import PATIENCE_S
from ray_processes import FOLDER, below, driver, environment, needs_ray, wait_until
from recordings import recordings

from service.config import PACKAGED_BUNDLE

pytestmark = needs_ray

COPIES = 8
BATCH_SIZE = 4
WORKER = "ray::MapWorker"


def job(source, out, *arguments):
    """The job, once its Ray runs."""
    command = [sys.executable, FOLDER / "transcribe.py", source, "--out", out, *arguments]
    log = out.with_suffix(".log")
    return driver(command, log, "Started a local Ray instance", stdout=subprocess.PIPE)


def rows_of(folder):
    return [
        json.loads(line)
        for part in folder.glob("*.jsonl")
        for line in part.read_text().splitlines()
    ]


def text_without_ray(files):
    done = subprocess.run(
        [sys.executable, "-m", "service", "transcribe", "--json", *map(str, files)],
        env=environment(STT_BUNDLE=str(PACKAGED_BUNDLE), STT_THREADS="1", STT_SESSIONS="1"),
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE_S,
    )
    return {
        os.path.basename(row["path"]): row["text"]
        for row in map(json.loads, done.stdout.splitlines())
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Every recording several times, and three files without speech to be had."""
    folder = tmp_path_factory.mktemp("calls")
    for copy in range(COPIES):
        (folder / str(copy)).mkdir()
        for recording in recordings():
            (folder / str(copy) / recording.path.name).symlink_to(recording.path)
    (folder / "noise.wav").write_bytes(b"no audio")
    (folder / "empty.wav").write_bytes(b"")
    return folder


def test_two_actors_a_killed_run_and_a_killed_actor_leave_each_result_once(folder, tmp_path):
    out = tmp_path / "out"
    many = ("--actors", "2", "--batch-size", BATCH_SIZE)
    with job(folder, out, *many) as first:
        first.wait_until(lambda: len(list(out.glob("*.jsonl"))) >= 3, "parts of the first run")
        workers = below(first.process.pid, WORKER)
        first.process.kill()
    wait_until(
        lambda: not any(os.path.exists(f"/proc/{pid}") for pid in workers), "its actors' end"
    )
    kept = {part.name: part.read_bytes() for part in out.glob("*.jsonl")}
    total = COPIES * len(recordings()) + 2
    assert 0 < len(rows_of(out)) < total / 2

    with job(folder, out, *many) as second:
        second.wait_until(lambda: len(list(out.glob("*.jsonl"))) >= len(kept) + 3, "more parts")
        second.wait_until(lambda: len(below(second.process.pid, WORKER)) == 2, "both actors")
        victim, _ = below(second.process.pid, WORKER)
        os.kill(victim, signal.SIGKILL)
        said = second.process.communicate(timeout=PATIENCE_S)[0]
        assert second.process.returncode == 1  # some files failed

    uris = [row["uri"] for row in rows_of(out)]
    assert len(uris) == len(set(uris)) == total
    assert kept == {name: (out / name).read_bytes() for name in kept}
    assert f"{total - 2} transcribed, 2 failed" in said
    failed = {
        row["uri"].rpartition("/")[2]: row["error"]["code"] for row in rows_of(out) if row["error"]
    }
    assert failed == {"noise.wav": "unsupported_audio", "empty.wav": "empty_audio"}
    expected = text_without_ray([recording.path for recording in recordings()])
    for row in rows_of(out):
        if row["error"] is None:
            assert row["text"] == expected[row["uri"].rpartition("/")[2]]


def test_a_list_of_uris_becomes_parquet_with_reasons(folder, tmp_path):
    good = recordings()[1].path
    listed = tmp_path / "list"
    uris = [good.as_uri(), f"local://{good}", str(folder / "missing.wav")]
    listed.write_text("\n".join([*uris, uris[0]]))
    with job(f"@{listed}", tmp_path / "out", "--format", "parquet") as only:
        only.process.communicate(timeout=PATIENCE_S)
    (part,) = (tmp_path / "out").glob("*.parquet")
    rows = {row["uri"]: row for row in pq.read_table(part).to_pylist()}
    assert list(rows) == uris
    expected = text_without_ray([good])[good.name]
    assert [rows[uri]["text"] for uri in uris] == [expected, expected, None]
    assert rows[uris[2]]["error"]["code"] == "unreadable"
    assert rows[uris[0]]["words"][0]["word"] == expected.split()[0]
