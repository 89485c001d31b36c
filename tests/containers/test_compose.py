import io
import json
import re
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pytest
import soundfile
from keys import make_keys
from recordings import ASSETS, recordings

from service.audio import SAMPLE_RATE_HZ

pytestmark = pytest.mark.containers
CLIENTS = 24
WORK_S = 8  # of all clients together; the grace is 25
ROOT = Path(__file__).parents[2]
LINES_OF_KENLM = 4  # which it writes while it loads a language model, and cannot be told not to
SCRAPES_S = 30  # several times the scrape interval


def test_speech_is_transcribed_through_the_published_port(client):
    spoken = recordings()[0]
    answer = client.post("/transcribe", files={"file": spoken.path.read_bytes()})
    assert answer.status_code == 200
    heard = answer.json()["text"].split()
    assert len(set(heard) & set(spoken.text.split())) > len(set(spoken.text.split())) / 2


@pytest.mark.parametrize("name", ["chromium.webm", "chromium.mp4"])
def test_what_a_browser_records_is_read_in_the_image(client, name):
    answer = client.post("/transcribe", files={"file": (ASSETS / "browser" / name).read_bytes()})
    assert answer.status_code == 200
    assert answer.json()["text"]


@pytest.mark.parametrize("suffix", ["wav", "mp3", "ogg"])
def test_other_formats_are_read_in_the_image(client, suffix):
    file = io.BytesIO()
    soundfile.write(file, recordings()[0].waveform(), SAMPLE_RATE_HZ, format=suffix.upper())
    answer = client.post("/transcribe", files={"file": file.getvalue()})
    assert answer.status_code == 200
    assert answer.json()["text"]


def test_the_other_bundle_and_the_command_are_in_the_image(stack):
    spoken = recordings()[0].path
    printed = stack.compose(
        *("run", "--rm", "--no-deps", "-T", "--env", "STT_BUNDLE=english-live"),
        *("--volume", f"{spoken}:/clip:ro", "stt", "transcribe", "/clip"),
    )
    assert len(printed.split()) > 2


def test_the_image_is_small(stack, client):
    """At most 450 MB on Docker's own base, which has about 130; a stand-in may be larger."""
    ours, base = (
        int(run("docker", "image", "inspect", "--format", "{{.Size}}", name))
        for name in ("wsm-stt:cpu", "python:3.11-slim-bookworm")
    )
    assert ours - base < 320e6, f"{ours / 1e6:.0f} MB, of which the base has {base / 1e6:.0f}"


def test_the_image_tells_what_is_in_it_and_holds_what_is_locked(stack, client):
    printed = stack.compose("exec", "-T", "stt", "cat", "/opt/wsm/sbom.cdx.json")
    sbom = json.loads(printed.removeprefix("\x1b[2K"))
    assert sbom["bomFormat"] == "CycloneDX"
    found = {plain(one["name"]): one["version"] for one in sbom["components"]}
    assert found.pop("wsm-stt")
    lock = (ROOT / "docker" / "requirements" / "cpu.txt").read_text()
    locked = re.findall(r"^([\w.-]+)==([\w.]+)", lock, re.MULTILINE)
    assert len(found) > 25
    assert set(found.items()) <= {(plain(name), version) for name, version in locked}


def test_the_image_lets_nobody_in_unless_it_is_told_to(client):
    done = subprocess.run(
        ["docker", "run", "--rm", "wsm-stt:cpu"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "there are no keys" in done.stderr


def test_the_image_asks_for_the_keys_of_a_file(client, tmp_path):
    tmp_path.chmod(0o755)
    keys = make_keys(tmp_path / "keys.json", {"app": {}})
    run_it = ("docker", "run", "--detach", "--publish", "127.0.0.1::8000", "--read-only")
    mounted = ("--tmpfs", "/tmp", "--volume", f"{tmp_path}:/keys:ro")
    setting = ("--env", "STT_API_KEYS_FILE=/keys/keys.json", "wsm-stt:cpu")
    name = run(*run_it, *mounted, *setting).strip()
    try:
        url = "http://" + run("docker", "port", name, "8000").strip()
        with httpx.Client(base_url=url, timeout=120) as http:
            until_ready(http)
            body = {"files": {"file": recordings()[0].path.read_bytes()}}
            assert http.post("/transcribe", **body).status_code == 401
            headers = {"Authorization": f"Bearer {keys['app']}"}
            assert http.post("/transcribe", **body, headers=headers).json()["text"]
    finally:
        run("docker", "rm", "--force", name)


def test_prometheus_has_the_rules_and_grafana_the_dashboard(stack, client):
    answer = httpx.get(f"{stack.addresses['prometheus']}/api/v1/rules").json()
    groups = {group["name"] for group in answer["data"]["groups"]}
    assert groups == {"wsm-stt-recording", "wsm-stt-alerts"}
    mounted = stack.compose("exec", "-T", "grafana", "cat", "/etc/grafana/dashboards/wsm-stt.json")
    assert json.loads(mounted.removeprefix("\x1b[2K"))["uid"] == "wsm-stt"


def test_prometheus_scrapes_the_service_by_its_name(stack, client):
    client.post("/transcribe", files={"file": recordings()[0].path.read_bytes()})
    query = 'sum(stt_requests_total{endpoint="/transcribe",job="wsm-stt"}) > 0'
    ends_s = time.monotonic() + SCRAPES_S
    found: list[object] = []
    while not found and time.monotonic() < ends_s:
        answer = httpx.get(
            f"{stack.addresses['prometheus']}/api/v1/query", params={"query": query}
        ).json()
        found = answer["data"]["result"]
        time.sleep(0.5)
    assert found


def test_a_container_holds_no_more_rights_than_it_needs(stack, client):
    assert "uid=10001" in stack.compose("exec", "-T", "stt", "id")
    probe = "import pathlib; pathlib.Path('/opt/wsm/written').touch()"
    with pytest.raises(AssertionError, match="Read-only file system"):
        stack.compose("exec", "-T", "stt", "python", "-c", probe)


def test_logs_are_objects_with_the_ids_of_requests(stack, client):
    client.get("/version", headers={"X-Request-ID": "seen-in-the-log"})
    printed = stack.compose("logs", "--no-color", "--no-log-prefix", "stt").splitlines()
    # Compose erases the line before it prints one, terminal or not.
    lines = [line.removeprefix("\x1b[2K") for line in printed]
    entries = [json.loads(line) for line in lines if line.startswith("{")]
    others = [line for line in lines if not line.startswith("{")]
    assert len(others) <= LINES_OF_KENLM, others
    assert any(entry.get("request_id") == "seen-in-the-log" for entry in entries)


def test_stopping_loses_no_request_that_was_accepted(stack, client):
    clip = clip_of_seconds(client, WORK_S / CLIENTS)
    with ThreadPoolExecutor(CLIENTS) as pool:
        posted = [
            pool.submit(client.post, "/transcribe", files={"file": clip}) for _ in range(CLIENTS)
        ]
        while waiting(client) < CLIENTS / 2:
            time.sleep(0.02)
        stack.compose("stop", "stt")
        answers = [answer.result() for answer in posted]
    # Whoever came after the signal is told to go elsewhere; everybody else is answered.
    assert {answer.status_code for answer in answers} <= {200, 503}
    assert sum(answer.status_code == 200 for answer in answers) >= CLIENTS / 2


def clip_of_seconds(client, work_s):
    """Speech that takes so long to transcribe here and now, whatever else this machine does."""
    spoken = recordings()[0].waveform()
    began_s = time.monotonic()
    assert client.post("/transcribe", files={"file": wav_of(spoken)}).status_code == 200
    taken_s = time.monotonic() - began_s
    return wav_of(np.resize(spoken, round(spoken.size * work_s / taken_s)))


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def plain(name):
    """A distribution's name, however it is spelled."""
    return re.sub(r"[-_.]+", "-", name).lower()


def until_ready(http):
    ends_s = time.monotonic() + 60
    while time.monotonic() < ends_s:
        try:
            if http.get("/health/ready").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    raise AssertionError("the container did not become ready")


def wav_of(waveform):
    file = io.BytesIO()
    soundfile.write(file, waveform, SAMPLE_RATE_HZ, format="WAV")
    return file.getvalue()


def waiting(client):
    """Utterances in the queue, over all lanes."""
    lines = client.get("/metrics").text.splitlines()
    return sum(float(line.split()[1]) for line in lines if line.startswith("stt_queue_size{"))
