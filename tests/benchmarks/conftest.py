import time

import pytest

from tests.benchmarks import hearing, options, tables


@pytest.fixture(scope="session")
def start_s():
    print(f"\n{tables.setup()}")
    return time.monotonic()


@pytest.fixture(autouse=True)
def within_the_hours(start_s):
    """No benchmark begins after the time of all of them is over."""
    if time.monotonic() - start_s > 3600 * options.HOURS:
        pytest.skip(f"the {options.HOURS:g} hours of BENCH_HOURS are over")


@pytest.fixture(scope="session")
def service():
    """The bundle of BENCH_BUNDLE, served in this process as it is by default."""
    with hearing.serving() as heard:
        yield heard
