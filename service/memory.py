"""Memory of this process, as the operating system counts it."""

import ctypes
import os
import sys
from collections.abc import Callable
from pathlib import Path

if sys.platform != "win32":
    import resource

LARGE_BLOCK_BYTES = 2**20
_MMAP_THRESHOLD = -3  # its number in glibc's malloc.h


def peak_bytes() -> int:
    """Largest resident memory so far, in bytes; 0 where the system does not tell."""
    if sys.platform == "win32":
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def resident_bytes() -> int:
    """Resident memory now, in bytes; the peak where only that is known."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except FileNotFoundError:
        return peak_bytes()
    return pages * os.sysconf("SC_PAGE_SIZE")


def trim_heap() -> None:
    """Return free pages to the system, where the C library can (glibc)."""
    if trim := _of_c_library("malloc_trim"):
        trim(0)


def return_large_blocks() -> None:
    """From now on, return waveforms and the like to the system as they are freed (glibc).

    By itself glibc does so for blocks from 128 kB on at first, and raises that to 32 MB as they
    come and go. Smaller ones stay in heaps, one for each thread, with holes: under mixed load they
    grew from 280 to 410 MB within minutes, and with this bound from 155 to 170.
    """
    if set_option := _of_c_library("mallopt"):
        set_option(_MMAP_THRESHOLD, LARGE_BLOCK_BYTES)


def _of_c_library(name: str) -> Callable[..., int] | None:
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None
