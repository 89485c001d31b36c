"""What the compose file says, without an engine to run it."""

import json
import os
import shutil
import subprocess

import pytest
from monitored import CONFIG, ROOT

from service.config import Settings

COMPOSE = ROOT / "docker" / "compose.yaml"
RUNNING = {"cpu": "stt", "gpu": "stt-gpu"}


def config(**environment):
    if shutil.which("docker") is None:
        pytest.skip("docker is not installed")
    asked = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)
    if asked.returncode != 0:
        pytest.skip("docker has no compose here")
    command = ["docker", "compose", "-f", str(COMPOSE), "config", "--format", "json"]
    clean = {name: value for name, value in os.environ.items() if name != "COMPOSE_PROFILES"}
    return subprocess.run(
        command, env=clean | environment, capture_output=True, text=True, check=False
    )


@pytest.fixture(params=[None, "cpu", "gpu"])
def profile(request):
    return request.param


@pytest.fixture
def services(profile):
    chosen = {} if profile is None else {"COMPOSE_PROFILES": profile}
    done = config(GRAFANA_PASSWORD="secret", **chosen)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["services"]


def test_a_profile_runs_one_service_which_prometheus_finds(services, profile):
    name = RUNNING[profile or "cpu"]
    assert services.keys() == {name, "prometheus", "grafana"}
    aliases = (services[name]["networks"]["default"] or {}).get("aliases", [])
    assert "stt" in [name, *aliases]
    assert '"stt:8000"' in (CONFIG / "prometheus.yml").read_text()


def test_the_gpu_is_asked_for_where_it_is_used(services, profile):
    service = services[RUNNING[profile or "cpu"]]
    devices = service.get("deploy", {}).get("resources", {}).get("reservations", {}).get("devices")
    assert bool(devices) == (profile == "gpu")
    assert service["image"] == f"wsm-stt:{profile or 'cpu'}"


def test_no_container_has_more_rights_or_memory_than_it_needs(services):
    for service in services.values():
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["restart"] == "unless-stopped"
        assert int(service["mem_limit"]) > 0
        assert service["pids_limit"] > 0
        assert {port["host_ip"] for port in service["ports"]} == {"127.0.0.1"}
        assert ":" in service["image"]


def test_without_keys_it_is_called_by_names_of_this_machine_only(services, profile):
    environment = services[RUNNING[profile or "cpu"]]["environment"]
    assert environment["STT_API_KEYS_FILE"] == ""
    given = {name.removeprefix("STT_").lower(): value for name, value in environment.items()}
    settings = Settings(**given | {"host": "0.0.0.0", "api_keys_file": None})
    assert settings.allow_without_keys
    assert set(settings.hosts) == {"localhost", "127.0.0.1", "stt"}


def test_stopping_leaves_time_for_the_grace(services, profile):
    stops_s = float(services[RUNNING[profile or "cpu"]]["stop_grace_period"].removesuffix("s"))
    assert stops_s > Settings().shutdown_grace_s + 5


def test_grafana_needs_a_password():
    done = config(GRAFANA_PASSWORD="")
    assert done.returncode != 0
    assert "GRAFANA_PASSWORD is missing a value: choose a password" in done.stderr
