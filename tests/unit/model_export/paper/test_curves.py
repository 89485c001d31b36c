"""Slopes and ratios against values worked out by hand."""

import pytest

from model_export.paper.curves import comparisons, memory_ratio, slope, time_ratio
from model_export.paper.results import DeviceResults, Figures, Hardware, Measurement

HARDWARE = Hardware(
    name="Test GPU", kind="cuda", memory="counted", arithmetic="float32", software={"torch": "0"}
)


def measurement(subject, length_s, *, seconds=1.0, peak=2_000, resting=1_000, failure=None):
    figures = Figures(
        seconds=seconds, repeats=3, resting_bytes=resting, peak_bytes=peak, reserved_bytes=None
    )
    return Measurement(
        shape="base", task="training", subject=subject, batch=4, length_s=length_s, learning=7,
        figures=None if failure else figures, failure=failure,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        pytest.param([(1, 5.0), (2, 10.0), (4, 20.0)], 1.0, id="linear"),
        pytest.param([(10, 3.0), (20, 12.0), (40, 48.0), (80, 192.0)], 2.0, id="quadratic"),
        pytest.param([(80, 8.0), (1, 9.0), (40, 4.0), (2, 9.0)], 1.0, id="the longer half, sorted"),
        # Logarithms to base 2: x 0, 1, 2 and y 0, 1, 4: slope (0*-1 + 4*1) / 2.
        pytest.param([(0.1, 9), (0.2, 9), (0.3, 9), (1, 1), (2, 2), (4, 16)], 2.0, id="fitted"),
        pytest.param([(5, 1.0), (10, 8.0)], 3.0, id="two points"),
        pytest.param([(5, 1.0)], None, id="one point"),
        pytest.param([], None, id="none"),
    ],
)
def test_slope_is_the_exponent_of_the_longer_half(points, expected):
    found = slope(points)

    assert found == (None if expected is None else pytest.approx(expected))


def test_ratios_compare_what_was_measured_at_one_length():
    results = DeviceResults(
        hardware=HARDWARE,
        measurements=(
            measurement("attention", 10.0, seconds=4.0, peak=10_000),
            measurement("WSM", 10.0, seconds=1.0, peak=6_000),
            measurement("attention", 20.0, failure="out of memory"),
            measurement("WSM", 20.0),
        ),
    )
    (comparison,) = comparisons(results)
    attention, wsm = comparison.curves

    assert comparison.lengths_s == [10.0, 20.0]
    assert memory_ratio(wsm, attention, 10.0) == pytest.approx(0.6)
    assert time_ratio(wsm, attention, 10.0) == pytest.approx(0.25)
    assert memory_ratio(wsm, attention, 20.0) is None
    assert time_ratio(wsm, attention, 30.0) is None
    assert attention.growth_gb == [(10.0, pytest.approx(9e-6))]
