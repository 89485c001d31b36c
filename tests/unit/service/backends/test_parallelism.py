from pathlib import Path

import pytest

from service.backends.parallelism import Parallelism, choose_parallelism, usable_cores


@pytest.mark.parametrize(
    ("cores", "threads", "sessions"),
    [(1, 1, 1), (2, 1, 2), (3, 1, 3), (4, 2, 2), (8, 2, 4), (16, 4, 4), (64, 8, 8)],
)
def test_both_grow_with_the_cores(cores: int, threads: int, sessions: int) -> None:
    assert choose_parallelism(cores, "cpu") == Parallelism(threads, sessions)


def test_what_was_asked_for_is_kept_and_the_other_fills_the_cores() -> None:
    assert choose_parallelism(8, "cpu", threads=8) == Parallelism(8, 1)
    assert choose_parallelism(8, "cpu", threads=16) == Parallelism(16, 1)
    assert choose_parallelism(8, "cpu", sessions=2) == Parallelism(4, 2)
    assert choose_parallelism(8, "cpu", sessions=20) == Parallelism(1, 20)
    assert choose_parallelism(8, "cpu", threads=3, sessions=5) == Parallelism(3, 5)


def test_a_gpu_takes_one_inference_at_a_time() -> None:
    assert choose_parallelism(16, "cuda").sessions == 1
    assert choose_parallelism(16, "cuda", sessions=2).sessions == 2


@pytest.mark.parametrize(
    ("quota", "limit"), [("150000 100000", 2), ("50000 100000", 1), ("max 100000", None)]
)
def test_a_containers_share_counts(tmp_path: Path, quota: str, limit: int | None) -> None:
    file = tmp_path / "cpu.max"
    file.write_text(f"{quota}\n")
    unlimited = usable_cores(tmp_path / "absent")
    assert unlimited >= 1
    assert usable_cores(file) == min(unlimited, limit or unlimited)
