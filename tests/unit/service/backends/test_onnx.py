"""The session itself; the paths for a GPU run on the CPU provider behind a recording fake."""

import gzip
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from tiny_bundle import HOP, TOKENS, make_bundle, speak

from service.backends.arena import Returns
from service.backends.base import Tuning
from service.backends.onnx import OnnxModel
from service.config import PACKAGED_BUNDLE
from service.errors import DeviceLost, InvalidBundle

SHRINK = "memory.enable_memory_arena_shrinkage"
CUDA, TENSORRT = "CUDAExecutionProvider", "TensorrtExecutionProvider"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return make_bundle(tmp_path / "bundle") / "model.onnx"


def test_a_compressed_graph_gives_the_same_logits(path: Path) -> None:
    packed = path.with_suffix(".onnx.gz")
    packed.write_bytes(gzip.compress(path.read_bytes()))
    waveforms, lengths = speak("ab")[np.newaxis], np.array([len(speak("ab"))])
    plain, unpacked = (
        OnnxModel(file, device="cpu", threads=1, vocabulary_size=len(TOKENS)).infer(
            waveforms, lengths
        )
        for file in (path, packed)
    )
    np.testing.assert_array_equal(unpacked[0], plain[0])


class Gpu:
    """Stands for `onnxruntime.InferenceSession` on a GPU: notes what it is told, runs on CPU."""

    real = onnxruntime.InferenceSession

    def __init__(self) -> None:
        self.starts = {CUDA, TENSORRT}
        self.providers: dict[str, dict[str, str]] = {}
        self.runs: list[tuple[str, str]] = []
        self.error: Exception | None = None

    def __call__(self, path: Path, options: Any, *, providers: Any) -> "Gpu":
        self.providers, self.options = dict(providers), options
        self.session = Gpu.real(path, options, providers=["CPUExecutionProvider"])
        return self

    def __getattr__(self, name: str) -> Any:
        return getattr(self.session, name)

    def get_providers(self) -> list[str]:
        return [*(self.providers.keys() & self.starts), "CPUExecutionProvider"]

    def run(self, names: Any, inputs: Any, options: Any) -> Any:
        self._note("run", options)
        return self.session.run(names, inputs)

    def run_with_iobinding(self, binding: Any, options: Any) -> None:
        self._note("binding", options)
        self.session.run_with_iobinding(binding)

    def _note(self, kind: str, options: Any) -> None:
        if self.error is not None:
            raise self.error
        try:
            self.runs.append((kind, options.get_run_config_entry(SHRINK)))
        except RuntimeError:  # no such entry
            self.runs.append((kind, ""))


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Gpu:
    fake = Gpu()
    monkeypatch.setattr(onnxruntime, "InferenceSession", fake)
    offered = [TENSORRT, CUDA, "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: offered)
    return fake


def opened(path: Path, **options: Any) -> OnnxModel:
    defaults = {"device": "cpu", "threads": 1, "vocabulary_size": len(TOKENS)}
    return OnnxModel(path, **(defaults | options))


def batch(*texts: str) -> tuple[Any, Any]:
    waveforms = [speak(text) for text in texts]
    longest = max(map(len, waveforms))
    padded = [np.pad(one, (0, longest - len(one))) for one in waveforms]
    return np.stack(padded), np.array([len(one) for one in waveforms])


def test_on_a_gpu_batches_are_bound_and_only_large_ones_give_memory_back(
    path: Path, gpu: Gpu
) -> None:
    waveforms, lengths = batch("abc", "b")
    tuning = Tuning(batch_samples=waveforms.size, gpu_memory_bytes=2**31)
    model = opened(path, device="cuda", tuning=tuning)
    assert gpu.providers.keys() == {CUDA}
    assert gpu.providers[CUDA]["gpu_mem_limit"] == str(2**31)
    assert gpu.providers[CUDA]["arena_extend_strategy"] == "kSameAsRequested"
    assert gpu.providers[CUDA]["cudnn_conv_algo_search"] == "HEURISTIC"

    expected = Gpu.real(path, providers=["CPUExecutionProvider"]).run(
        None, {"waveforms": waveforms, "lengths": lengths}
    )
    found = model.infer(waveforms, lengths)
    larger = np.pad(waveforms, ((0, 0), (0, HOP)))
    also_found = model.infer(larger, lengths)
    assert gpu.runs == [("binding", ""), ("run", "cpu:0;gpu:0")]
    for one, two, right in zip(found, also_found, expected, strict=True):
        np.testing.assert_array_equal(one, right)
        np.testing.assert_array_equal(two[:, : right.shape[1]] if two.ndim > 1 else two, right)


def test_once_a_minute_what_batches_took_together_is_given_back(
    path: Path, gpu: Gpu, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = [100.0]
    monkeypatch.setattr("service.backends.onnx.Returns", partial(Returns, clock=lambda: now_s[0]))
    model = opened(path)
    for now_s[0] in (159.9, 160.0, 160.1, 219.9, 220.0):
        model.infer(*batch("a"))
    assert [shrinks for _, shrinks in gpu.runs] == ["", "cpu:0", "", "", "cpu:0"]


def test_a_lost_device_is_told_apart(path: Path, gpu: Gpu) -> None:
    model = opened(path, device="cuda")
    gpu.error = RuntimeError("CUDA failure 700: an illegal memory access was encountered ; GPU=0")
    with pytest.raises(DeviceLost, match="ONNX Runtime failed: CUDA failure 700"):
        model.infer(*batch("a"))


def test_a_provider_that_is_offered_but_does_not_start_is_said_so(path: Path, gpu: Gpu) -> None:
    gpu.starts = set()
    with pytest.raises(InvalidBundle, match=f"{CUDA} is offered but does not start"):
        opened(path, device="cuda")


def test_tensorrt_is_asked_for_and_goes_before_cuda(path: Path, gpu: Gpu, tmp_path: Path) -> None:
    tuning = Tuning(batch_samples=480_000, batch_size=8, tensorrt_cache=tmp_path)
    opened(path, device="cuda", tuning=tuning)
    assert list(gpu.providers) == [TENSORRT, CUDA]
    options = gpu.providers[TENSORRT]
    assert options["trt_engine_cache_path"] == str(tmp_path)
    assert options["trt_profile_min_shapes"] == "waveforms:1x400,lengths:1"
    assert options["trt_profile_opt_shapes"] == "waveforms:6x80000,lengths:6"
    assert options["trt_profile_max_shapes"] == "waveforms:8x480000,lengths:8"
    with pytest.raises(InvalidBundle, match="TensorRT runs on cuda only"):
        opened(path, device="cpu", tuning=tuning)


def test_a_package_without_tensorrt_is_said_so(
    path: Path, gpu: Gpu, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CUDA])
    with pytest.raises(InvalidBundle, match=f"it has no {TENSORRT}"):
        opened(path, device="cuda", tuning=Tuning(tensorrt_cache=tmp_path))


def test_one_session_answers_many_threads_at_once(path: Path) -> None:
    model = opened(path)
    batches = [batch("abc"), batch("a cab", "b"), batch("c")] * 20
    alone = [model.infer(*one) for one in batches]
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(lambda one: model.infer(*one), batches))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one[0], other[0])


MEASURE = """
import resource, sys
from pathlib import Path
import numpy as np
from service.backends.base import Tuning
from service.backends.onnx import OnnxModel
from service.errors import OutOfMemory
from service.memory import resident_bytes

def model(batch_samples):
    return OnnxModel(Path(sys.argv[1]), device="cpu", threads=1, vocabulary_size=29,
                     tuning=Tuning(batch_samples=batch_samples))

def run(one, rows):
    one.infer(np.zeros((rows, 448_000), np.float32), np.full(rows, 448_000))
"""


def _measure(code: str) -> list[str]:
    graph = PACKAGED_BUNDLE / "model.int8.onnx.gz"
    outcome = subprocess.run(
        [sys.executable, "-c", MEASURE + code, str(graph)],
        capture_output=True,
        text=True,
        check=True,
    )
    return outcome.stdout.split()


def test_memory_that_batches_took_together_comes_back() -> None:
    code = """
from concurrent.futures import ThreadPoolExecutor
from service.backends import arena
one = model(10**9)
with ThreadPoolExecutor(4) as threads:
    list(threads.map(lambda _: run(one, 1), range(8)))
print(resident_bytes())
arena.PERIOD_S = 0
run(one, 1)
print(resident_bytes())
"""
    kept_bytes, left_bytes = map(int, _measure(code))
    assert kept_bytes - left_bytes > 300e6


def test_memory_comes_back_after_a_large_batch() -> None:
    code = "one = model({}); run(one, 1); print(resident_bytes())"
    (left_bytes,) = map(int, _measure(code.format(1)))
    (kept_bytes,) = map(int, _measure(code.format(10**9)))
    assert kept_bytes - left_bytes > 100e6


@pytest.mark.skipif(sys.platform != "linux", reason="address space is limited as Linux does")
def test_a_batch_too_large_for_memory_is_refused_and_the_next_one_runs() -> None:
    code = """
one = model(10**9)
run(one, 1)
used_bytes = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used_bytes + 5 * 10**8,) * 2)
try:
    run(one, 8)
except OutOfMemory as error:
    print("refused")
run(one, 1)
print("answered")
"""
    assert _measure(code) == ["refused", "answered"]
