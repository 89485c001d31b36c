"""How many inferences run at once, and with how many threads each.

Cores can make one inference faster or run several at once. Threads of one inference wait for each
other at every operator: on 2 cores, two inferences of one thread gave 4 % more than one of two, and
20 % more beside a busy thread, while a batch that was alone took 1.7 times as long, and 1.1 times
beside a busy thread (`make bench`, the shipped bundle). Many inferences at once multiply working
memory, and leave a long file to few threads. So on few cores each has its own inference, and on
many both grow alike, to the square root of the cores; more than 2 cores were not measured.
"""

import math
import os
from dataclasses import dataclass
from pathlib import Path

from service.backends.base import Device

CGROUP_QUOTA = Path("/sys/fs/cgroup/cpu.max")


@dataclass(frozen=True)
class Parallelism:
    """Threads of one inference on CPU, and inferences at once."""

    threads: int
    sessions: int


def choose_parallelism(
    cores: int, device: Device, *, threads: int | None = None, sessions: int | None = None
) -> Parallelism:
    """Fill in what was not asked for, so that threads times sessions is about the cores.

    Args:
        cores: that this process may use.
        device: a GPU takes one inference at a time: its batches already fill it.
        threads: as asked for.
        sessions: as asked for.
    """
    if threads is None:
        threads = math.isqrt(cores) if sessions is None else max(1, cores // sessions)
    if sessions is None:
        sessions = 1 if device == "cuda" else max(1, cores // threads)
    return Parallelism(threads, sessions)


def usable_cores(quota_file: Path = CGROUP_QUOTA) -> int:
    """Cores that this process may use: its affinity, and its container's share of time.

    Args:
        quota_file: cgroup v2's "quota period", in microseconds, or "max period".
    """
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    cores = affinity or 1
    try:
        quota_us, period_us = quota_file.read_text().split()
        return max(1, min(cores, math.ceil(int(quota_us) / int(period_us))))
    except (OSError, ValueError):  # no such file outside containers; "max" is no number
        return cores
