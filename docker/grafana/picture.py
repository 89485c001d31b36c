"""Draws the dashboard's panels from a running Prometheus, with matplotlib instead of Grafana.

python docker/grafana/picture.py http://localhost:9090 240 docker/grafana/panels.png
"""

import io
import json
import sys
import time
import urllib.parse
import urllib.request
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter
from panel import Panel
from panels import ROWS
from PIL import Image

UNITS = {"s": "s", "percentunit": "%", "bytes": "MB", "reqps": "/s", "cps": "/s"}
SCALES = {"percentunit": 100.0, "bytes": 1e-6}
STEPS = 200


class History:
    """What a Prometheus saw in its last seconds."""

    def __init__(self, url: str, seconds: float) -> None:
        self._url = url
        self.end_s = time.time()
        self.start_s = self.end_s - seconds
        self._seconds = seconds

    def lines(self, query: str) -> list[dict[str, Any]]:
        """Every series that a query gives over the whole time."""
        for name, value in (("$job", ".*"), ("$instance", ".*"), ("$__rate_interval", "20s")):
            query = query.replace(name, value)
        parameters = {
            "query": query,
            "start": self.start_s,
            "end": self.end_s,
            "step": self._seconds / STEPS,
        }
        where = f"{self._url}/api/v1/query_range?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(where) as answer:
            found: list[dict[str, Any]] = json.load(answer)["data"]["result"]
        return found


def draw(history: History, out: str) -> None:
    """Write all panels but those that have nothing to show, three in a row."""
    stats = [panel for _, row in ROWS for panel in row if panel.kind == "stat"]
    charts = [panel for _, row in ROWS for panel in row if panel.kind == "timeseries"]
    charts = [panel for panel in charts if any(history.lines(query) for query, _ in panel.queries)]
    rows = -(-len(charts) // 3)
    figure = plt.figure(figsize=(15, 1.1 + 2.5 * rows), layout="constrained")
    grid = figure.add_gridspec(rows + 1, 6, height_ratios=[0.45] + [1] * rows)
    for column, panel in enumerate(stats):
        _stat(figure.add_subplot(grid[0, column]), panel, history)
    for place, panel in enumerate(charts):
        left = place % 3 * 2
        _chart(figure.add_subplot(grid[1 + place // 3, left : left + 2]), panel, history)
    with io.BytesIO() as drawn:
        figure.savefig(drawn, dpi=75)
        Image.open(drawn).convert("RGB").quantize(48).save(out, optimize=True)


def _stat(axes: Axes, panel: Panel, history: History) -> None:
    found = history.lines(panel.queries[0][0])
    value = float(found[0]["values"][-1][1]) * SCALES.get(panel.unit, 1) if found else None
    unit = UNITS.get(panel.unit, "x" if "real time" in panel.unit else "")
    shown = "no data" if value is None else f"{value:.3g} {unit}"
    axes.set_axis_off()
    axes.set_title(panel.title, fontsize=10)
    axes.text(0.5, 0.35, shown, ha="center", va="center", fontsize=20, transform=axes.transAxes)


def _chart(axes: Axes, panel: Panel, history: History) -> None:
    scale = SCALES.get(panel.unit, 1)
    for query, legend in panel.queries:
        for series in history.lines(query):
            name = legend
            for label, value in series["metric"].items():
                name = name.replace(f"{{{{{label}}}}}", value)
            times = [at - history.start_s for at, _ in series["values"]]
            axes.plot(times, [float(value) * scale for _, value in series["values"]], label=name)
    axes.set_title(panel.title, fontsize=10, loc="left")
    axes.set_ylim(bottom=0)
    axes.set_xlim(0, history.end_s - history.start_s)
    unit = UNITS.get(panel.unit, "")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g} {unit}"))
    axes.tick_params(labelsize=8)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7, frameon=False, ncols=3)


if __name__ == "__main__":
    url, seconds, out = sys.argv[1:]
    draw(History(url, float(seconds)), out)
