"""The table in deploy/README.md follows from its formula and its assumptions."""

import math
import re

import pytest
import yaml
from monitored import ROOT

TEXT = (ROOT / "deploy" / "README.md").read_text().partition("## Scale on paper")[2]


def numbers(cell):
    return [float(found.replace(",", "")) for found in re.findall(r"\d[\d,]*(?:\.\d+)?", cell)]


def rows(first):
    lines = TEXT.partition(f"| {first} |")[2].splitlines()[2:]
    for line in lines:
        if not line.startswith("|"):
            return
        yield [cell.strip() for cell in line.strip("|").split("|")]


ASSUMED = [cells[1] for cells in rows("assumption")]
SPEED, UTILISATION, STREAM_CPU, MEMORY_GB = (float(cell) for cell in ASSUMED[:4])
BYTES = [float(number) for number in ASSUMED[4].split(",")]
CORES = 2
STREAMS = CORES * UTILISATION / STREAM_CPU


@pytest.mark.parametrize("cells", list(rows("`N`")), ids=lambda cells: cells[0])
def test_a_row_follows_from_the_assumptions(cells):
    (arriving,), *machines, network = map(numbers, cells)
    for of_one, (found,) in zip(
        (SPEED * UTILISATION, STREAMS), (machines[0], machines[3]), strict=True
    ):
        assert found == max(2, math.ceil(arriving / of_one))
    for first in (0, 3):
        (replicas,), (cores,), (memory_gb,) = machines[first : first + 3]
        assert cores == CORES * replicas
        assert memory_gb == MEMORY_GB * replicas
    assert network == pytest.approx([arriving * rate / 1e6 for rate in BYTES])


def test_there_are_three_sizes():
    assert len(list(rows("`N`"))) == 3


def test_streams_of_a_replica_are_those_that_scaling_aims_at():
    assert f"CPU of a stream, {STREAMS:.1f}\n" in TEXT
    kubernetes = (ROOT / "deploy" / "kubernetes" / "base" / "scaledobject.yaml").read_text()
    (trigger,) = [
        one["metadata"]
        for one in yaml.safe_load(kubernetes)["spec"]["triggers"]
        if "stt_active_streams" in one["metadata"]["query"]
    ]
    assert float(trigger["threshold"]) == math.floor(STREAMS)
    ray = yaml.safe_load((ROOT / "deploy" / "ray" / "serve.yaml").read_text())
    policy = ray["applications"][0]["deployments"][0]["autoscaling_config"]["policy"]
    assert policy["policy_kwargs"]["target_streams"] == math.floor(STREAMS / CORES)


def test_the_speed_is_the_one_of_the_readme():
    assert f"| {SPEED:.0f}x |" in (ROOT / "README.md").read_text()


def test_the_archive_follows_too():
    hours, days, arriving = numbers(re.search(r"100,000 hours in.*two", TEXT)[0])
    assert round(hours / (24 * days)) == arriving
    assert math.ceil(arriving / SPEED) == 2
