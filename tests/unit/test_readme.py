"""The README names everything a user can set or meet, and the operators' page what to watch."""

import re
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from service.config import PREFIX, Settings
from service.errors import ServiceError
from service.metrics import Metrics

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
OPERATIONS = (ROOT / "deploy" / "README.md").read_text()
RELIABILITY = (ROOT / "deploy" / "reliability.md").read_text()
MAKEFILE = (ROOT / "Makefile").read_text()
ABSTRACT = {"service_error", "client_error"}


def test_it_stays_short():
    assert len(README.splitlines()) < 250


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_in_the_table(name):
    assert f"`{PREFIX}{name.upper()}`" in README


def test_every_error_is_in_the_table_with_its_status():
    for error in _tree(ServiceError):
        if error.code not in ABSTRACT:
            assert f"| `{error.code}` | {error.status} |" in README


def test_every_metric_is_in_the_table():
    registry = CollectorRegistry()
    Metrics(registry)
    for family in registry.collect():
        if family.name.startswith("stt_"):
            name = family.name.removesuffix("_info")
            assert name in OPERATIONS


def test_every_target_that_shows_something_is_there():
    targets = set(re.findall(r"`make ([\w-]+)`", RELIABILITY + README))
    assert {"fuzz", "faults", "drain", "soak", "same-text", "test-access"} <= targets
    assert targets <= set(re.findall(r"^([\w-]+):", MAKEFILE, re.MULTILINE))


def test_what_the_table_of_faults_names_is_run_by_its_target():
    named = set(re.findall(r"\btest_\w+\.py", RELIABILITY.partition("## Faults")[2]))
    recipe = MAKEFILE.partition("\nfaults:")[2].partition("\n\n")[0]
    assert "test_faults.py" in named
    assert named <= set(re.findall(r"\btest_\w+\.py", recipe))


def _tree(error):
    yield error
    for child in error.__subclasses__():
        yield from _tree(child)
