"""What the GPU report measures, and with what: models of public shapes, clips, clocks, counters."""

import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode
from transformers import Wav2Vec2Config, Wav2Vec2Model
from transformers.utils import logging

from model_export.encoders.ctc_model import CtcModel
from model_export.encoders.families import build_model
from model_export.mixing.surgery import replace_attention, select_layers
from model_export.paper.shapes import SHAPES as SHAPES
from model_export.paper.shapes import TINY as TINY
from service.audio import SAMPLE_RATE_HZ

LABELS = 32
WINDOW_FRAMES = 8
REPEATS = 5


def make_model(shape: dict[str, Any], mixer: str, layers: str = "all") -> CtcModel:
    """A CTC model with random weights; "attention" keeps transformers' SDPA in every layer."""
    torch.manual_seed(0)
    logging.disable_progress_bar()
    with tempfile.TemporaryDirectory() as folder:
        Wav2Vec2Model(Wav2Vec2Config(**shape)).save_pretrained(folder)
        model = build_model(Path(folder), LABELS)
    window_frames = WINDOW_FRAMES if mixer == "wsm" else None
    chosen = select_layers(layers, len(model.layers))
    replace_attention(model, layers=chosen, mixer=mixer, window_frames=window_frames)
    return model.eval()


def noise(rows: int, seconds: float) -> tuple[Tensor, Tensor]:
    """A batch of equally long noise: waveforms `[rows, samples]` and lengths `[rows]`."""
    samples = int(seconds * SAMPLE_RATE_HZ)
    generator = torch.Generator().manual_seed(0)
    return 0.1 * torch.randn(rows, samples, generator=generator), torch.full((rows,), samples)


def seconds_of(call: Callable[[], object], device: str) -> float:
    """Median time of a call, in seconds, after one that does not count."""
    call()
    times_s = []
    for _ in range(REPEATS):
        _finish(device)
        start_s = time.perf_counter()
        call()
        _finish(device)
        times_s.append(time.perf_counter() - start_s)
    return statistics.median(times_s)


def operations_of(call: Callable[[], object]) -> float:
    """Floating-point operations of a call's products and convolutions."""
    # The counter cannot follow weight norm into inference mode.
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        call()
    return float(counter.get_total_flops())


def matrix_peak(device: str, size: int) -> float:
    """Operations per second of one large bfloat16 product: what is reached, not a data sheet."""
    left, right = (torch.randn(size, size, device=device, dtype=torch.bfloat16) for _ in range(2))
    return 2 * size**3 / seconds_of(lambda: left @ right, device)


class TorchMemory:
    """Peak memory of torch on the device, from construction on; None without one."""

    def __init__(self, device: str) -> None:
        self._on = device == "cuda"
        if self._on:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()

    def peak_gb(self) -> tuple[float | None, float | None]:
        """Allocated and reserved."""
        if not self._on:
            return None, None
        return torch.cuda.max_memory_allocated() / 1e9, torch.cuda.max_memory_reserved() / 1e9


def used_gb(device: str) -> float | None:
    """Memory in use on the whole device, whoever took it; None without one."""
    if device != "cuda":
        return None
    free, total = torch.cuda.mem_get_info()
    return (total - free) / 1e9


@contextmanager
def sampled_peak(device: str) -> Iterator[list[float]]:
    """The highest `used_gb` seen meanwhile, as the list's only item; empty without a device."""
    peak: list[float] = []
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(0.002):
            if (used := used_gb(device)) is not None:
                peak[:] = [max([used, *peak])]

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield peak
    finally:
        stop.set()
        thread.join()


def padded(clips: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Clips as one batch, zero after each one's end."""
    longest = max(map(len, clips))
    rows = [np.pad(clip, (0, longest - len(clip))) for clip in clips]
    return np.stack(rows), np.array([len(clip) for clip in clips])


def _finish(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()
