"""Memory of the GPU that the model runs on, as its driver counts it, all processes together."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector, CollectorRegistry

logger = logging.getLogger(__name__)


class GpuMemory(Collector):
    """`stt_gpu_memory_bytes{kind}`, asked for at every scrape.

    Args:
        nvml: the module `pynvml`, initialised.
        device: NVML's handle of the GPU.
    """

    def __init__(self, nvml: Any, device: Any) -> None:  # noqa: ANN401 - pynvml has no types
        self._nvml, self._device = nvml, device

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """One gauge of three kinds; none while the driver does not answer."""
        family = GaugeMetricFamily(
            "stt_gpu_memory_bytes", "Memory of the GPU, by kind.", labels=["kind"]
        )
        try:
            memory = self._nvml.nvmlDeviceGetMemoryInfo(
                self._device, version=self._nvml.nvmlMemory_v2
            )
        except self._nvml.NVMLError as error:
            logger.warning("the GPU's memory cannot be read: %s", error)
            return
        for kind in ("used", "reserved", "total"):
            family.add_metric([kind], getattr(memory, kind))
        yield family


def watch(registry: CollectorRegistry, visible_gpu: str) -> None:
    """Show the GPU's memory among the metrics; without NVML, say so in the log and go on.

    Args:
        registry: where the gauge is registered.
        visible_gpu: index or UUID of the GPU that CUDA counts as its first.
    """
    try:
        import pynvml

        pynvml.nvmlInit()
        find = (
            pynvml.nvmlDeviceGetHandleByIndex
            if visible_gpu.isdecimal()
            else pynvml.nvmlDeviceGetHandleByUUID
        )
        device = find(int(visible_gpu) if visible_gpu.isdecimal() else visible_gpu)
    except ImportError:
        logger.warning("no GPU memory among the metrics: install wsm-stt with the extra gpu")
    except pynvml.NVMLError as error:
        logger.warning("no GPU memory among the metrics: %s", error)
    else:
        registry.register(GpuMemory(pynvml, device))
