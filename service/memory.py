"""Memory of this process, as the operating system counts it."""

import ctypes
import os
import sys
from pathlib import Path

if sys.platform != "win32":
    import resource


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
    if sys.platform != "linux":
        return
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
