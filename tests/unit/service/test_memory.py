import platform
import subprocess
import sys

import pytest

from service.memory import resident_bytes, trim_heap

needs_glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's own functions")

LEFT_BEHIND = """
import sys
import numpy as np
from service.memory import resident_bytes, return_large_blocks

if sys.argv[1] == "returned":
    return_large_blocks()
np.zeros(25 * 2**20, np.uint8)  # freed: from here on glibc would keep blocks of that size
before_bytes = resident_bytes()
blocks, holders = [], []
for _ in range(100):
    blocks.append(np.ones(2 * 2**20, np.uint8))
    holders.append(np.ones(2**16, np.uint8))
del blocks
print(resident_bytes() - before_bytes)
"""


def left_bytes(how):
    command = [sys.executable, "-c", LEFT_BEHIND, how]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@needs_glibc
def test_large_blocks_are_returned_once_that_is_wanted():
    assert left_bytes("kept") > 150e6
    assert left_bytes("returned") < 30e6


@needs_glibc
def test_trimming_returns_freed_blocks():
    # Blocks too small to be mapped on their own, freed under one that keeps the heap's top.
    blocks = [bytearray(b"x") * 100_000 for _ in range(2000)]
    last = bytearray(b"x") * 100_000
    del blocks
    before = resident_bytes()
    trim_heap()
    assert resident_bytes() < before - 50 * 2**20
    assert last
