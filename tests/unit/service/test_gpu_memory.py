# ruff: noqa: N802, N815 - the names are those of pynvml
"""With a stand-in for NVML, since no test machine has a GPU."""

import logging
import sys
from types import SimpleNamespace

import pytest
from prometheus_client import CollectorRegistry

from service import gpu_memory

KINDS = {"used": 3 << 30, "reserved": 1 << 20, "total": 80 << 30}


class NVMLError(Exception):
    pass


class FakeNvml:
    """As much of `pynvml` as is called; one GPU, with an index and a UUID."""

    NVMLError = NVMLError
    nvmlMemory_v2 = 2

    def __init__(self, *, works=True):
        self.works = works

    def nvmlInit(self):
        if not self.works:
            raise NVMLError("Driver Not Loaded")

    def nvmlDeviceGetHandleByIndex(self, index):
        return self._find(index == 1)

    def nvmlDeviceGetHandleByUUID(self, uuid):
        return self._find(uuid == "GPU-7f0c")

    def nvmlDeviceGetMemoryInfo(self, device, version):
        assert (device, version) == ("the second", 2)
        if not self.works:
            raise NVMLError("GPU is lost")
        return SimpleNamespace(**KINDS, free=5, version=2)

    def _find(self, is_there):
        if not is_there:
            raise NVMLError("Not Found")
        return "the second"


@pytest.fixture
def registry():
    return CollectorRegistry()


def watch(monkeypatch, registry, nvml, visible_gpu):
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    gpu_memory.watch(registry, visible_gpu)


def shown(registry):
    samples = [sample for family in registry.collect() for sample in family.samples]
    assert all(sample.name == "stt_gpu_memory_bytes" for sample in samples)
    return {sample.labels["kind"]: sample.value for sample in samples}


@pytest.mark.parametrize("visible_gpu", ["1", "GPU-7f0c"])
def test_memory_of_the_gpu_that_cuda_uses_is_shown(monkeypatch, registry, visible_gpu):
    watch(monkeypatch, registry, FakeNvml(), visible_gpu)
    assert shown(registry) == KINDS


def test_a_gpu_that_was_lost_shows_nothing(monkeypatch, registry, caplog):
    nvml = FakeNvml()
    watch(monkeypatch, registry, nvml, "1")
    nvml.works = False
    assert shown(registry) == {}
    assert "GPU is lost" in caplog.text


@pytest.mark.parametrize(
    ("nvml", "visible_gpu", "said"),
    [
        (FakeNvml(works=False), "1", "Driver Not Loaded"),
        (FakeNvml(), "2", "Not Found"),
        (None, "1", "extra gpu"),
    ],
)
def test_without_nvml_the_log_says_so(monkeypatch, registry, caplog, nvml, visible_gpu, said):
    with caplog.at_level(logging.WARNING):
        watch(monkeypatch, registry, nvml, visible_gpu)
    assert said in caplog.text
    assert shown(registry) == {}
