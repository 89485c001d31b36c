"""The page is what the JSON gives, and nothing else."""

import json
import sys

import pytest

from model_export.cli import main
from model_export.errors import MeasuringRefused
from model_export.paper.arguments import RESULTS
from model_export.paper.page import PAGE, render, write_page
from model_export.paper.plots import draw
from model_export.paper.results import read_folder

GB = 1_000_000_000


def row(subject, length_s, peak_gb, seconds, resting_gb=1, reserved_gb=8):
    figures = {
        "seconds": seconds, "repeats": 3, "resting_bytes": resting_gb * GB,
        "peak_bytes": int(peak_gb * GB), "reserved_bytes": reserved_gb * GB,
    }  # fmt: skip
    return {
        "shape": "wav2vec2-base", "task": "training", "subject": subject, "batch": 4,
        "length_s": length_s, "learning": 2_500_000, "kernels": ["efficient_attention"],
        "figures": figures, "failure": None,
    }  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    """Peak memory and seconds of two subjects at 10, 20 and 40 s; one is too much."""
    failed = row("attention, everything learns", 40, 0, 0)
    failed |= {"figures": None, "failure": "out of memory"}
    results = {
        "hardware": {
            "name": "Test GPU", "kind": "cuda", "memory": "peaks of the allocator",
            "arithmetic": "bfloat16", "software": {"torch": "2.11", "driver": "580"},
        },
        "measurements": [
            row("attention, everything learns", 10, 4, 0.1),
            row("attention, everything learns", 20, 16, 0.4),
            failed,
            row("WSM, last 2", 10, 3, 0.1),
            row("WSM, last 2", 20, 4, 0.3),
            row("WSM, last 2", 40, 8, 0.6),
        ],
    }  # fmt: skip
    results_folder = tmp_path / "memory"
    results_folder.mkdir()
    (results_folder / "test-gpu.json").write_text(json.dumps(results))
    return results_folder


def cells_of(page, *begins):
    found = [line for line in page.splitlines() if line.startswith(f"| {' | '.join(begins)} |")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in found]


def test_the_page_holds_figures_slopes_and_ratios(folder):
    page = write_page(read_folder(folder), folder.parent).read_text()

    full_memory, full_time = cells_of(page, "attention, everything learns")
    our_memory, our_time = cells_of(page, "WSM, last 2")
    # From 10 to 20 s memory grows fourfold; beyond the resting 1 GB it grows from 3 to 15 GB.
    assert full_memory[2:] == ["4 (8)", "16 (8)", "out of memory", "2.00", "2.32"]
    assert full_time[2:] == ["0.1", "0.4", "out of memory", "2.00"]
    # From 20 to 40 s it doubles, and grows from 3 to 7 GB beyond the resting one.
    assert our_memory[1:] == ["2.5 M", "3 (8)", "4 (8)", "8 (8)", "1.00", "1.22"]
    assert our_time[2:] == ["0.1", "0.3", "0.6", "1.00"]
    (memory,) = cells_of(page, "peak memory", "attention, everything learns")
    (time,) = cells_of(page, "time", "attention, everything learns")
    assert memory[2:] == ["0.75 (25 % less)", "0.25 (75 % less)", "-"]
    assert time[2:] == ["1.00", "0.75 (25 % less)", "-"]


def test_the_page_names_the_device_and_the_kernel(folder):
    page = render(read_folder(folder))

    assert "## Test GPU\n" in page
    assert "bfloat16; torch 2.11, driver 580. Memory: peaks of the allocator." in page
    assert "`efficient_attention`" in page


def test_plots_are_drawn_as_svg_and_png(folder, tmp_path):
    pytest.importorskip("matplotlib")

    paths = draw(read_folder(folder), tmp_path)

    names = sorted(path.name for path in paths)
    assert names == [
        f"memory-test-gpu-wav2vec2-base-training-4.{ending}" for ending in ("png", "svg")
    ]
    assert all(f"({name})" in render(read_folder(folder)) for name in names if name.endswith("svg"))
    svg = next(path for path in paths if path.suffix == ".svg").read_bytes()
    draw(read_folder(folder), tmp_path)
    assert svg == (tmp_path / names[1]).read_bytes()


def test_without_matplotlib_the_error_says_what_to_install(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib", None)

    arguments = ["--render", "--out", str(folder), "--page", str(tmp_path)]
    assert main(["paper", "memory", *arguments]) == 2
    assert "pip install 'wsm-stt[paper]'" in capsys.readouterr().err


def test_no_results_are_an_error(tmp_path):
    with pytest.raises(MeasuringRefused, match="measure first"):
        read_folder(tmp_path)


def test_damaged_results_are_an_error(tmp_path):
    (tmp_path / "gpu.json").write_text('{"hardware": 1}')

    with pytest.raises(MeasuringRefused, match=r"gpu\.json holds no results"):
        read_folder(tmp_path)


@pytest.mark.skipif(not (RESULTS / PAGE).exists(), reason="nothing was measured yet")
def test_the_page_in_the_repository_is_what_its_json_gives():
    assert (RESULTS / PAGE).read_text() == render(read_folder(RESULTS / "memory"))
