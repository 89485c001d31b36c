"""The page about memory and time, written from the JSON of all devices; no figure stands here."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from model_export.paper.curves import (
    Comparison,
    Curve,
    comparisons,
    memory_ratio,
    slope,
    time_ratio,
)
from model_export.paper.plots import plot_name
from model_export.paper.results import DeviceResults, Figures, Measurement

PAGE = "memory.md"
OURS = ("WSM, last 2", "WSM in all layers")
INTRODUCTION = """\
# Memory and time at true dimensions

Written by `wsm-export paper memory --render` from the JSON in `memory/`; not to be edited.

Models have the dimensions of public encoders and random weights: neither memory nor time depends
on what they have learnt. All subjects run behind the same front end, on the same equally long clips
of noise, in the same batch. A training step is CTC loss (12 labels per second), gradients, and
AdamW, whose state counts. In `last 2`, and in `WSM in all layers`, the mixers of those layers with
their LayerNorm and the head learn, and nothing else; below the lowest of them nothing keeps
activations. `all above the feature extractor learns` is how wav2vec 2.0 is usually fine-tuned.
Attention has no dropout on its weights, which lets a fused kernel serve it on CPUs too. Inference
is one pass without gradients.

A slope is the exponent p of y = c x^p over the longer half of the lengths: 1 is linear, 2 is
quadratic. *Growth* is memory beyond what is there before a step. The CTC loss itself keeps frames x
labels, so it grows with the square of the length in every row of training. The paper's 40 % less
peak memory would be 0.60 in the tables of shares.
"""
Ratio = Callable[[Curve, Curve, float], float | None]


def write_page(devices: Sequence[DeviceResults], folder: Path) -> Path:
    """Write the page into a folder; its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / PAGE
    path.write_text(render(devices))
    return path


def render(devices: Sequence[DeviceResults]) -> str:
    """The page, as Markdown."""
    return "\n".join([INTRODUCTION, *(line for each in devices for line in _device(each))])


def _device(results: DeviceResults) -> Iterator[str]:
    hardware = results.hardware
    software = ", ".join(f"{name} {version}" for name, version in hardware.software.items())
    yield f"## {hardware.name}\n"
    yield f"{hardware.arithmetic}; {software}. Memory: {hardware.memory}.\n"
    for comparison in comparisons(results):
        yield from _comparison(comparison, hardware.name)


def _comparison(comparison: Comparison, device: str) -> Iterator[str]:
    task = "training step" if comparison.task == "training" else "inference"
    clips = "1 clip" if comparison.batch == 1 else f"{comparison.batch} clips"
    title = f"{comparison.shape}, {task}, {clips}"
    yield f"### {title}\n"
    yield f"![{title}: memory and time over length]({plot_name(device, comparison)}.svg)\n"
    if kernels := _kernels(comparison):
        yield f"Attention ran as {kernels} (a mask of padding rules CUDA's flash kernel out).\n"
    slopes = ["slope", "slope of growth"]
    yield from _table("peak memory, GB", comparison, slopes, _memory_row)
    yield from _table("seconds", comparison, ["slope"], _time_row)
    yield from _ratios(comparison)


def _kernels(comparison: Comparison) -> str:
    found = {
        name
        for curve in comparison.curves
        for measurement in curve.measurements.values()
        for name in measurement.kernels
    }
    return " and ".join(f"`{name}`" for name in sorted(found))


def _table(
    title: str,
    comparison: Comparison,
    more: list[str],
    row: Callable[[Curve, list[float]], list[str]],
) -> Iterator[str]:
    yield _row([title, "learning", *_lengths(comparison), *more])
    yield _row(["---"] + ["---:"] * (1 + len(comparison.lengths_s) + len(more)))
    for curve in comparison.curves:
        yield _row([curve.subject, _learning(curve), *row(curve, comparison.lengths_s)])
    yield ""


def _memory_row(curve: Curve, lengths_s: list[float]) -> list[str]:
    cells = [_cell(curve.measurements.get(length_s), _memory_cell) for length_s in lengths_s]
    return [*cells, _number(slope(curve.peak_gb)), _number(slope(curve.growth_gb))]


def _time_row(curve: Curve, lengths_s: list[float]) -> list[str]:
    cells = [
        _cell(curve.measurements.get(length_s), lambda one: f"{one.seconds:.3g}")
        for length_s in lengths_s
    ]
    return [*cells, _number(slope(curve.seconds))]


def _memory_cell(figures: Figures) -> str:
    reserved = figures.reserved_bytes
    kept = "" if reserved is None else f" ({reserved / 1e9:.3g})"
    return f"{figures.peak_bytes / 1e9:.3g}{kept}"


def _cell(measurement: Measurement | None, shown: Callable[[Figures], str]) -> str:
    if measurement is None:
        return "-"
    if measurement.figures is None:
        return measurement.failure or "failed"
    return shown(measurement.figures)


def _ratios(comparison: Comparison) -> Iterator[str]:
    """Ours against each other subject: what the paper says of memory, and the same of time."""
    lengths_s = comparison.lengths_s
    kinds: list[tuple[str, Ratio]] = [("peak memory", memory_ratio), ("time", time_ratio)]
    for ours in filter(None, map(comparison.curve, OURS)):
        yield _row([f"`{ours.subject}` takes", "of", *_lengths(comparison)])
        yield _row(["---", "---", *["---:"] * len(lengths_s)])
        for kind, ratio in kinds:
            for other in comparison.curves:
                if other.subject not in OURS:
                    cells = [_less(ratio(ours, other, length_s)) for length_s in lengths_s]
                    yield _row([kind, other.subject, *cells])
        yield ""


def _less(ratio: float | None) -> str:
    """A share, and what it saves."""
    if ratio is None:
        return "-"
    percent = round(100 * abs(1 - ratio))
    told = f" ({percent} % {'less' if ratio < 1 else 'more'})" if percent else ""
    return f"{ratio:.2f}{told}"


def _learning(curve: Curve) -> str:
    learning = max((one.learning for one in curve.measurements.values()), default=0)
    return f"{learning / 1e6:.1f} M" if learning else "-"


def _lengths(comparison: Comparison) -> list[str]:
    return [f"{length_s:g} s" for length_s in comparison.lengths_s]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
