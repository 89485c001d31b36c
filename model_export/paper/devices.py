"""The device that is measured: what it is, and its clocks and counters of memory."""

import gc
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol

import torch
import transformers
from torch import Tensor

from model_export.errors import MeasuringRefused
from model_export.paper.counting import LiveBytes
from model_export.paper.results import Figures, Hardware
from model_export.paper.shapes import DeviceKind
from model_export.training.precision import Precision
from service.memory import resident_bytes

REPEATS = 3
LONG_PASS_S = 5.0  # such a pass is timed once, as what a first pass costs more is lost in it
PRECISION: dict[DeviceKind, Precision] = {"cuda": "bf16", "cpu": "fp32"}
MEMORY_SHARE = 0.9  # of what a CPU has left, beyond which allocations fail

Run = Callable[[], object]


class Meter(Protocol):
    """Measures what a call takes."""

    def measure(self, run: Run, alive: Iterable[Tensor]) -> Figures:
        """Time and peak memory of a call; `alive` are the tensors that are there before it."""
        ...


def choose_device(wanted: str) -> DeviceKind:
    """Settle `auto`.

    Raises:
        MeasuringRefused: CUDA was asked for, and there is none.
    """
    if torch.cuda.is_available():
        return "cpu" if wanted == "cpu" else "cuda"
    if wanted == "cuda":
        raise MeasuringRefused("torch sees no CUDA device here; nothing was measured")
    return "cpu"


def hardware_of(kind: DeviceKind) -> Hardware:
    """What is measured, and how."""
    software = {"torch": torch.__version__, "transformers": transformers.__version__}
    if kind == "cpu":
        threads = torch.get_num_threads()
        return Hardware(
            name=_processor(),
            kind=kind,
            memory="bytes of live tensors, counted operator by operator; what an operator "
            "allocates inside and frees again is not seen",
            arithmetic=f"float32 on {threads} threads",
            software=software,
        )
    return Hardware(
        name=torch.cuda.get_device_name(),
        kind=kind,
        memory="torch.cuda.max_memory_allocated, and in brackets max_memory_reserved",
        arithmetic=f"bfloat16 autocast over float32 weights, TF32 {_tf32()} elsewhere",
        software=software | {"CUDA": str(torch.version.cuda), "driver": _driver()},
    )


def meter_of(kind: DeviceKind) -> Meter:
    """The clocks and counters of a device."""
    return CudaMeter() if kind == "cuda" else CpuMeter()


class CudaMeter:
    """Times by CUDA's events; memory as torch's allocator counts it."""

    def measure(self, run: Run, alive: Iterable[Tensor]) -> Figures:
        """Measure after one call that does not count, unless it is long."""
        resting_bytes = torch.cuda.memory_allocated()
        times_s = self._times(run, 1)
        if times_s[0] < LONG_PASS_S:
            times_s = self._times(run, REPEATS)
        return Figures(
            seconds=statistics.median(times_s),
            repeats=len(times_s),
            resting_bytes=resting_bytes,
            peak_bytes=torch.cuda.max_memory_allocated(),
            reserved_bytes=torch.cuda.max_memory_reserved(),
        )

    def _times(self, run: Run, repeats: int) -> list[float]:
        """Seconds of each call; the peaks are those of these calls."""
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        return [self._seconds(run) for _ in range(repeats)]

    def _seconds(self, run: Run) -> float:
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        run()
        end.record()
        torch.cuda.synchronize()
        return float(start.elapsed_time(end)) / 1e3


class CpuMeter:
    """Times by the clock; memory as the bytes of live tensors."""

    def measure(self, run: Run, alive: Iterable[Tensor]) -> Figures:
        """Count the first call, and time it if it is long, or else those after it."""
        counter = LiveBytes(alive)
        resting_bytes = counter.live_bytes
        with counter:
            times_s = [self._seconds(run)]
        if times_s[0] < LONG_PASS_S:
            times_s = [self._seconds(run) for _ in range(REPEATS)]
        return Figures(
            seconds=statistics.median(times_s),
            repeats=len(times_s),
            resting_bytes=resting_bytes,
            peak_bytes=counter.peak_bytes,
            reserved_bytes=None,
        )

    def _seconds(self, run: Run) -> float:
        start_s = time.perf_counter()
        run()
        return time.perf_counter() - start_s


def free_memory() -> None:
    """Give back what nothing holds any more."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def limit_memory(kind: DeviceKind) -> None:
    """Let what a CPU has no memory for fail, before the system kills this process."""
    facts = Path("/proc/meminfo")
    if kind == "cuda" or not facts.exists():
        return
    import resource  # not on every system

    lines = (line.split() for line in facts.read_text().splitlines())
    available_bytes = next(int(line[1]) * 1024 for line in lines if line[0] == "MemAvailable:")
    limit_bytes = resident_bytes() + int(MEMORY_SHARE * available_bytes)
    _, hard_limit = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (limit_bytes, hard_limit))


def _processor() -> str:
    facts = Path("/proc/cpuinfo")
    lines = facts.read_text().splitlines() if facts.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "") or platform.processor() or platform.machine()


def _driver() -> str:
    query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        outcome = subprocess.run(query, capture_output=True, text=True, check=False)
    except OSError:
        return "unknown"
    return (outcome.stdout.strip() or "unknown").splitlines()[0]


def _tf32() -> str:
    return "on" if torch.backends.cuda.matmul.allow_tf32 else "off"
