"""Metrics, rules and dashboard, with a real server, real speech and a real Prometheus."""

import asyncio
import io
import itertools
import math
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import numpy as np
import pytest
import soundfile
import yaml
from monitored import CONFIG, DASHBOARD, ROOT, panels, prometheus, promtool, substituted
from patience import PATIENCE_S
from prometheus_client import CollectorRegistry
from recordings import recordings
from server_process import serving
from socket_client import of_type, pcm, silence, streaming

from service.audio import SAMPLE_RATE_HZ
from service.config import PACKAGED_BUNDLE, Settings
from service.metrics import Metrics

NEEDS_A_GPU = {"GPU memory"}
ALERTS = yaml.safe_load((CONFIG / "rules" / "alerts.yml").read_text())["groups"][0]["rules"]
STREAMS_ROW = {"Open streams", "Worst lag", "Partials", "Finals", "Streams that ended"}
LOAD_S = 12
ROUNDS = 3
PEOPLE, PIECE_S = 2, 0.1
SETTLED = (
    f'rate(stt_requests_total{{status="1000"}}[1m]) > 0 and on () stt_active_streams == {PEOPLE}'
)
RULES_S = 10  # after which every rule has been evaluated


@pytest.fixture(scope="module")
def watched(tmp_path_factory):
    """A server under load, the Prometheus that watched it, and when the load was at its end."""
    settings = {"STT_MAX_AUDIO_S": "600", "STT_JOBS_DIR": str(tmp_path_factory.mktemp("jobs"))}
    with (
        serving(PACKAGED_BUNDLE, **settings) as client,
        prometheus(tmp_path_factory.mktemp("prometheus"), client.base_url.netloc.decode()) as asked,
    ):
        yield client, asked, work(client, asked)


def work(client, asked):
    """Clips, a long file, a job, files that are refused, and people who speak, for some scrapes.

    Returns: when Prometheus knew all that, and people still spoke, in seconds since the epoch.
    """
    enough = Event()
    clips = [recording.path.read_bytes() for recording in recordings()[:8]]
    long = wav_of(np.tile(recordings()[0].waveform(), 10))
    rounds = 0
    ends_s = time.monotonic() + LOAD_S
    with ThreadPoolExecutor(6 + PEOPLE) as pool:
        people = [pool.submit(speak, client, first, enough) for first in range(PEOPLE)]
        job = pool.submit(client.post, "/jobs", files={"file": long})
        while time.monotonic() < ends_s or rounds < ROUNDS:
            rounds += 1
            sent = [pool.submit(client.post, "/transcribe", files={"file": clip}) for clip in clips]
            sent.append(pool.submit(client.post, "/transcribe", files={"file": long}))
            assert {one.result().status_code for one in sent} == {200}
            assert client.post("/transcribe", files={"file": b"no audio"}).status_code == 415
            assert asyncio.run(dictated(client)) == 1000
        assert job.result().status_code == 202
        try:
            at_s = settled(asked)
        finally:
            enough.set()
        assert all(person.result() for person in people)
    return at_s


def settled(asked):
    ends_s = time.time() + PATIENCE_S
    while (at_s := time.time()) < ends_s:
        if asked.query(SETTLED, at_s):
            return at_s
        time.sleep(0.2)
    raise AssertionError(f"waited {PATIENCE_S} s for {SETTLED}")


def speak(client, first, enough):
    """Speak at the pace of speech until it is enough, and tell the last final."""
    spoken = [recording.waveform() for recording in recordings()[first:]]
    audio = pcm(np.concatenate([part for clip in spoken for part in (clip, silence(1.2))]))
    return asyncio.run(live(client, audio, enough))


async def live(client, audio, enough):
    piece_bytes = 2 * round(PIECE_S * SAMPLE_RATE_HZ)
    async with streaming(client) as person:
        await person.begin()
        pieces = [audio[at : at + piece_bytes] for at in range(0, len(audio), piece_bytes)]
        hearing = asyncio.create_task(person.rest())
        for piece in itertools.cycle(pieces):
            if enough.is_set():
                break
            await person.send(piece)
            await asyncio.sleep(PIECE_S)
        await person.say("stop")
        return of_type(await hearing, "final")[-1]


async def dictated(client):
    """The close code of a short stream that is sent as fast as it is taken."""
    async with streaming(client) as person:
        await person.begin()
        await person.send(pcm(recordings()[0].waveform()))
        await person.say("stop")
        await person.rest()
        return person.close_code


def wav_of(waveform):
    file = io.BytesIO()
    soundfile.write(file, waveform, SAMPLE_RATE_HZ, format="WAV")
    return file.getvalue()


def targets(panel):
    return [target["expr"] for target in panel["targets"]]


def numbers(asked, expression, at_s):
    """What a panel's query gave, at a time that rules are evaluated for within a second or two."""
    found = asked.query(substituted(expression), at_s)
    ends_s = at_s + RULES_S
    while not found and time.time() < ends_s:
        time.sleep(0.5)
        found = asked.query(substituted(expression), at_s)
    return [float(one["value"][1]) for one in found]


def test_metrics_are_as_prometheus_wants_them(watched):
    client, _, _ = watched
    promtool("check", "metrics", given=client.get("/metrics").text)


@pytest.mark.parametrize("panel", panels(), ids=lambda panel: panel["title"])
def test_every_query_of_every_panel_has_data(watched, panel):
    _, asked, loaded_s = watched
    for expression in targets(panel):
        found = numbers(asked, expression, loaded_s)
        assert bool(found) == (panel["title"] not in NEEDS_A_GPU), expression
        assert not any(map(math.isnan, found)), expression


def test_panels_tell_what_happened(watched):
    _, asked, loaded_s = watched
    told = {
        panel["title"]: numbers(asked, targets(panel)[0], loaded_s)
        for panel in panels()
        if panel["type"] == "stat" or panel["title"] in STREAMS_ROW
    }
    assert told.keys() >= STREAMS_ROW
    assert told["Replicas ready"] == [1]
    assert told["Answers that are errors"] == [0]
    assert told["Speed"][0] > 1
    assert 0 < told["Busy"][0] <= 1.1
    assert told["Open streams"] == [PEOPLE]
    assert 0 <= told["Worst lag"][0] < Settings().stream_buffer_s + 1
    assert told["Partials"][0] > 0
    assert told["Finals"][0] > 0
    assert told["Streams that ended"][0] > 0


def test_close_codes_are_no_answers(watched):
    _, asked, loaded_s = watched
    (answers,) = [panel for panel in panels() if panel["title"] == "Answers by status"]
    found = asked.query(substituted(targets(answers)[0]), loaded_s)
    assert {one["metric"]["status"] for one in found} == {"200", "202", "415"}


def test_nothing_fires_while_all_is_well(watched):
    _, asked, _ = watched
    assert asked.query('ALERTS{alertstate="firing"}') == []


@pytest.mark.parametrize(
    ("settings", "status", "recorded"),
    [
        ({"STT_MAX_QUEUE": "1", "STT_SESSIONS": "1"}, 429, "job:stt_refused:ratio_rate5m"),
        ({"STT_REQUEST_TIMEOUT_S": "0.01"}, 504, "job:stt_errors:ratio_rate5m"),
    ],
    ids=["a full queue", "a short deadline"],
)
def test_trouble_shows_in_what_alerts_watch(tmp_path, settings, status, recorded):
    clips = [recording.path.read_bytes() for recording in recordings()[:8]]
    with (
        serving(PACKAGED_BUNDLE, STT_JOBS_DIR=str(tmp_path / "jobs"), **settings) as client,
        prometheus(tmp_path, client.base_url.netloc.decode()) as asked,
        ThreadPoolExecutor(8) as pool,
    ):
        ends_s = time.monotonic() + PATIENCE_S
        found = []
        while not found and time.monotonic() < ends_s:
            sent = [pool.submit(client.post, "/transcribe", files={"file": clip}) for clip in clips]
            assert status in {one.result().status_code for one in sent}
            found = asked.query(f"{recorded} > 0.01")
        assert found


async def test_a_refused_stream_shows_in_what_alerts_watch(tmp_path):
    wanted = "job:stt_streams_refused:ratio_rate5m > 0.01 and on () instance:stt_streams:ratio == 1"
    settings = {"STT_MAX_STREAMS": "1", "STT_JOBS_DIR": str(tmp_path / "jobs")}
    with (
        serving(PACKAGED_BUNDLE, **settings) as client,
        prometheus(tmp_path, client.base_url.netloc.decode()) as asked,
    ):
        async with streaming(client) as first:
            await first.begin()
            ends_s = time.monotonic() + PATIENCE_S
            while not asked.query(wanted):
                assert time.monotonic() < ends_s, wanted
                async with streaming(client) as second:
                    await second.rest()
                    assert second.close_code == 1013


def test_the_rules_do_what_their_cases_say():
    promtool("check", "config", CONFIG / "prometheus.yml")
    promtool("test", "rules", Path(__file__).with_name("alerts_test.yml"))


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_every_alert_has_a_case_and_a_section_in_the_runbook(rule):
    name = rule["alert"]
    assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    assert rule["annotations"]["runbook"] == f"deploy/runbook.md#{name.lower()}"
    assert f"\n## {name}\n" in (ROOT / "deploy" / "runbook.md").read_text()
    assert name in Path(__file__).with_name("alerts_test.yml").read_text()


def test_the_dashboard_is_what_its_source_makes(tmp_path):
    folder = DASHBOARD.parents[1]
    code = "import json, dashboard; print(json.dumps(dashboard.dashboard(), indent=2))"
    made = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True
    )
    assert made.stdout == DASHBOARD.read_text(), "run python docker/grafana/dashboard.py"


def test_panels_explain_themselves_and_lie_side_by_side():
    cells = set()
    for panel in panels():
        assert len(panel["description"]) > 40, panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"]
        place = panel["gridPos"]
        mine = {
            (place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])
        }
        assert not mine & cells, panel["title"]
        assert all(x < 24 for x, _ in mine)
        cells |= mine


def test_settings_and_metrics_that_are_named_exist():
    rules = "".join(path.read_text() for path in (CONFIG / "rules").glob("*.yml"))
    registry = CollectorRegistry()
    Metrics(registry)
    known = {family.name for family in registry.collect()} | {"stt_gpu_memory_bytes"}
    recorded = set(re.findall(r"record: \w+:(stt_\w+):", rules))
    for text in (rules, DASHBOARD.read_text()):
        for name in re.findall(r"\bstt_\w+", text):
            bare = re.sub(r"_(total|sum|count|bucket|info)$", "", name)
            assert {name, bare} & (known | recorded), name
        for name in re.findall(r"STT_(\w+)", text):
            assert name.lower() in Settings.model_fields
