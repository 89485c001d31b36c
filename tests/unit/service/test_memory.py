import platform

import pytest

from service.memory import resident_bytes, trim_heap


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can trim")
def test_trimming_returns_freed_blocks():
    # Blocks too small to be mapped on their own, freed under one that keeps the heap's top.
    blocks = [bytearray(b"x") * 100_000 for _ in range(2000)]
    last = bytearray(b"x") * 100_000
    del blocks
    before = resident_bytes()
    trim_heap()
    assert resident_bytes() < before - 50 * 2**20
    assert last
