import logging
from pathlib import Path

import numpy as np
import pytest
from tiny_bundle import HOP, RATE_HZ, make_bundle

from service.arrays import FloatArray, IntArray
from service.backends.warmup import length_buckets, warm_up, warmup_shapes
from service.bundle import Manifest, load_bundle
from service.errors import InferenceFailed, OutOfMemory

BUCKETS = (RATE_HZ, 10 * RATE_HZ, 30 * RATE_HZ)


def manifest_of(folder: Path, longest_s: float | None) -> Manifest:
    return load_bundle(make_bundle(folder, longest_s)).manifest


def test_buckets_reach_from_common_lengths_to_the_longest_pass(tmp_path: Path) -> None:
    limited = manifest_of(tmp_path / "limited", 28.0)
    free = manifest_of(tmp_path / "free", None)
    assert [n / RATE_HZ for n in length_buckets(limited, 120 * RATE_HZ)] == [1, 2, 5, 10, 20, 28]
    assert [n / RATE_HZ for n in length_buckets(free, 120 * RATE_HZ)][-3:] == [30, 60, 120]
    assert length_buckets(free, 1) == (HOP,)


def test_cuda_meets_every_bucket_alone_and_in_its_largest_batch() -> None:
    shapes = list(warmup_shapes("cuda", "onnxruntime", BUCKETS, 30 * RATE_HZ, 16))
    assert shapes == [
        (1, RATE_HZ),
        (16, RATE_HZ),
        (1, 10 * RATE_HZ),
        (3, 10 * RATE_HZ),
        (1, 30 * RATE_HZ),
    ]


def test_on_cpu_only_what_compiles_is_run() -> None:
    assert list(warmup_shapes("cpu", "onnxruntime", BUCKETS, 30 * RATE_HZ, 16)) == []
    compiling = list(warmup_shapes("cpu", "torchscript", BUCKETS, 30 * RATE_HZ, 16))
    assert compiling == [(1, RATE_HZ)] * 2


class Model:
    def __init__(self, limit_samples: int) -> None:
        self.limit_samples = limit_samples
        self.shapes: list[tuple[int, ...]] = []

    def infer(self, waveforms: FloatArray, lengths: IntArray) -> tuple[FloatArray, IntArray]:
        assert lengths.tolist() == [waveforms.shape[1]] * len(waveforms)
        if waveforms.size > self.limit_samples:
            raise OutOfMemory("too large")
        self.shapes.append(waveforms.shape)
        return waveforms[:, :, np.newaxis], lengths


def test_what_does_not_fit_is_told_and_left(caplog: pytest.LogCaptureFixture) -> None:
    model = Model(limit_samples=20)
    with caplog.at_level(logging.WARNING):
        warm_up(model, iter([(1, 10), (2, 10), (3, 10), (1, 10)]))
    assert model.shapes == [(1, 10), (2, 10)]
    assert "3 x 10 samples does not fit" in caplog.text


def test_any_other_failure_is_one() -> None:
    class Broken:
        def infer(self, waveforms: FloatArray, lengths: IntArray) -> tuple[FloatArray, IntArray]:
            raise InferenceFailed("broken")

    with pytest.raises(InferenceFailed, match="broken"):
        warm_up(Broken(), iter([(1, 10)]))
