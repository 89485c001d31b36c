"""What the benchmarks print: Markdown tables, and what they were measured on."""

import platform
from collections.abc import Iterable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from tests.benchmarks import options

PACKAGES = (
    "onnxruntime",
    "torch",
    "transformers",
    "litserve",
    "mosec",
    "faster-whisper",
    "pocketsphinx",
)


def print_table(
    title: str, header: Sequence[str], rows: Iterable[Sequence[str]], *notes: str
) -> None:
    """Print a Markdown table under its title, and notes under the table."""
    lines = [f"**{title}**", "", _row(header), _row(["---"] * len(header)), *map(_row, rows)]
    print("\n\n" + "\n".join([*lines, *(f"\n{note}" for note in notes)]), flush=True)


def verdict(holds: bool) -> str:
    """What a table says about a limit."""
    return "yes" if holds else "**no**"


def setup() -> str:
    """The machine and the versions of what is compared, in a line."""
    versions = ", ".join(f"{name} {_version(name)}" for name in PACKAGES)
    return (
        f"{options.CORES} cores, {_processor()}, Python {platform.python_version()}; {versions}. "
        "Medians with 95 % intervals by order statistics; below six rounds their range."
    )


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "(not installed)"


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
