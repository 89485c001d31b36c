"""The table in deploy/README.md follows from its formula and its assumptions."""

import math
import re

import pytest
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
SPEED, UTILISATION, MEMORY_GB = (float(cell) for cell in ASSUMED[:3])
BYTES = [float(number) for number in ASSUMED[3].split(",")]


@pytest.mark.parametrize("cells", list(rows("`N`")), ids=lambda cells: cells[0])
def test_a_row_follows_from_the_assumptions(cells):
    (arriving,), (replicas,), (cores,), (memory_gb,), network = map(numbers, cells)
    assert replicas == max(2, math.ceil(arriving / (SPEED * UTILISATION)))
    assert cores == 2 * replicas
    assert memory_gb == MEMORY_GB * replicas
    assert network == pytest.approx([arriving * rate / 1e6 for rate in BYTES])


def test_there_are_three_sizes():
    assert len(list(rows("`N`"))) == 3


def test_the_speed_is_the_one_of_the_readme():
    assert f"| {SPEED:.0f}x |" in (ROOT / "README.md").read_text()


def test_the_archive_follows_too():
    hours, days, arriving = numbers(re.search(r"100,000 hours in.*two", TEXT)[0])
    assert round(hours / (24 * days)) == arriving
    assert math.ceil(arriving / SPEED) == 2
