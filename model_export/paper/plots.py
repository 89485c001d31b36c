"""Plots of memory and time over length, as SVG and PNG; both axes are logarithmic."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from model_export.errors import MeasuringRefused
from model_export.paper.curves import Comparison, Point, comparisons, slope
from model_export.paper.results import DeviceResults, slug

MARKERS = "osD^vP*X"
STYLE: Any = {"svg.hashsalt": "wsm-stt", "font.size": 9}  # the same file from the same figures
NO_DATE: dict[str, dict[str, Any]] = {"svg": {"Date": None}, "png": {}}


def plot_name(device: str, comparison: Comparison) -> str:
    """Of the files, without what they end with."""
    parts = (device, comparison.shape, comparison.task, str(comparison.batch))
    return "memory-" + "-".join(map(slug, parts))


def draw(devices: Sequence[DeviceResults], folder: Path) -> list[Path]:
    """Draw every comparison of every device into a folder; the files.

    Raises:
        MeasuringRefused: matplotlib is not installed.
    """
    try:
        # Imported here: an extra brings it, and measuring needs it not.
        import matplotlib as mpl
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MeasuringRefused(
            "matplotlib, which draws the plots, is not installed: pip install 'wsm-stt[paper]'"
        ) from error
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    with mpl.rc_context(STYLE):
        for results in devices:
            for comparison in comparisons(results):
                figure = Figure(figsize=(11, 4.6), layout="constrained")
                _fill(figure, results.hardware.name, comparison)
                for ending, metadata in NO_DATE.items():
                    path = folder / f"{plot_name(results.hardware.name, comparison)}.{ending}"
                    figure.savefig(path, dpi=110, metadata=metadata)
                    paths.append(path)
    return paths


def _fill(figure: Any, device: str, comparison: Comparison) -> None:  # noqa: ANN401
    memory, time = figure.subplots(1, 2)
    figure.suptitle(
        f"{comparison.shape}, {comparison.task}, batch of {comparison.batch}, on {device}"
    )
    for number, curve in enumerate(comparison.curves):
        look = {"marker": MARKERS[number % len(MARKERS)], "color": f"C{number}", "markersize": 4}
        _add(memory, curve.peak_gb, curve.subject, look)
        _add(time, curve.seconds, curve.subject, look)
    for axes, label in ((memory, "peak memory, GB"), (time, "time, s")):
        axes.set(xscale="log", yscale="log", xlabel="length of a clip, s", ylabel=label)
        axes.set_xticks(comparison.lengths_s, [f"{at:g}" for at in comparison.lengths_s])
        axes.minorticks_off()
        axes.grid(visible=True, alpha=0.3)
        axes.legend(title="slope, subject", fontsize=7, title_fontsize=7, frameon=False)


def _add(axes: Any, points: list[Point], subject: str, look: dict[str, Any]) -> None:  # noqa: ANN401
    if points:
        steepness = slope(points)
        told = "-" if steepness is None else f"{steepness:.2f}"
        axes.plot(*zip(*points, strict=True), label=f"{told}  {subject}", linewidth=1.2, **look)
