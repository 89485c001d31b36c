"""One pass of any length: time and peak memory of WSM in all layers, and of attention."""

import math

import numpy as np
import pytest

from tests.benchmarks import options
from tests.benchmarks.children import Attempt, one_pass
from tests.benchmarks.clients import Load
from tests.benchmarks.clips import one_clip
from tests.benchmarks.servers import our_server
from tests.benchmarks.shapes import shape
from tests.benchmarks.tables import print_table
from tests.benchmarks.timing import estimate, interleave

LENGTHS_S = (10, 30, 60, 180, 600, 1800, 3600)
BUDGET_S = 90  # for each length
PATIENCE = {"STT_REQUEST_TIMEOUT_S": "14400"}


@pytest.mark.bench
@pytest.mark.parametrize("name", options.SHAPES)
def test_one_pass_from_seconds_to_an_hour(name):
    made = shape(name)
    lengths_s = [one for one in LENGTHS_S if one <= max(options.LONG_S)]
    sides = {
        "WSM, one pass of the engine": Attempt(lambda: one_pass(made.wsm, seconds)),
        "attention (SDPA), torch": Attempt(lambda: one_pass(made.attention, seconds)),
    }
    rows, curves = [], {side: {} for side in sides}
    for seconds in lengths_s:
        measured = interleave(sides, rounds=options.ROUNDS, budget_s=BUDGET_S)
        for side, runs in measured.items():
            rows.append(_row(seconds, side, runs, sides[side].failure))
            if not sides[side].failure:
                curves[side][seconds] = estimate([run["seconds"] for run in runs]).value
        _leave_out(sides, curves, seconds, lengths_s)
    rows.append(_segmented(made, lengths_s[-1]))
    print_table(
        f"One pass over one file: {made}",
        ["audio s", "what", "seconds", "peak GB", "rounds"],
        rows,
        "Log-log slope of time over all lengths that were finished: "
        + "; ".join(f"{side} {_slope(curve):.2f}" for side, curve in curves.items())
        + ". Attention has the same front end, but in torch, since it is not exported.",
    )
    assert curves["WSM, one pass of the engine"]


def _row(seconds, side, runs, failure):
    done = [run for run in runs if run is not None]
    if failure or not done:
        return [str(seconds), side, failure, "", str(len(done))]
    taken = estimate([run["seconds"] for run in done])
    peak = estimate([run["peak_bytes"] / 1e9 for run in done])
    return [str(seconds), side, f"{taken:.2f}", f"{peak.value:.2f}", str(len(done))]


def _leave_out(sides, curves, seconds, lengths_s):
    """Do not begin what would, growing with the square of the length, not end in time."""
    longer_s = [one for one in lengths_s if one > seconds]
    for side, curve in curves.items():
        if "attention" not in side or not longer_s or seconds not in curve:
            continue
        expected_s = curve[seconds] * (longer_s[0] / seconds) ** 2
        if expected_s > options.RUN_LIMIT_S:
            sides[side].failure = f"left out: up to {expected_s:.0f} s"


def _segmented(made, seconds):
    """The service as it is by default, which cuts long audio into segments."""
    load = Load(one_clip(seconds), requests=1)
    with our_server(made.wsm, **PATIENCE) as server, server.awake() as url:
        taken_s = load.run(url).wall_s
        peak_bytes = server.metrics()["stt_peak_memory_bytes"]
    side = "WSM, service with its defaults"
    return [str(seconds), side, f"{taken_s:.2f}", f"{peak_bytes / 1e9:.2f}", "1"]


def _slope(curve):
    if len(curve) < 2:
        return math.nan
    slope, _ = np.polyfit(np.log(list(curve)), np.log(list(curve.values())), 1)
    return float(slope)
