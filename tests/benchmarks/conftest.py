import pytest

from tests.benchmarks import tables


@pytest.fixture(scope="session", autouse=True)
def setup_line():
    print(f"\n{tables.setup()}")
