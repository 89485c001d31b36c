"""One pass over audio of one length, in a process of its own: its time and its peak memory.

    python -m tests.benchmarks.one_pass BUNDLE_OR_CHECKPOINT SECONDS

A bundle runs in the service's engine; a folder of transformers runs with its attention (SDPA), in
torch, behind the front end that bundles have. Prints a line of JSON: `seconds` and `peak_bytes`, or
`failure`.
"""

import json
import resource
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from service import memory
from service.arrays import FloatArray
from service.errors import InferenceFailed
from tests.benchmarks import options
from tests.benchmarks.clips import speech
from tests.benchmarks.timing import seconds_of

WARM_UP_S = 5.0
VOCABULARY_SIZE = 32

Run = Callable[[FloatArray], object]


def main() -> None:
    """Measure once, after a short pass."""
    folder, seconds = Path(sys.argv[1]), float(sys.argv[2])
    resource.setrlimit(resource.RLIMIT_DATA, (options.MEMORY_BYTES, options.MEMORY_BYTES))
    run = _engine(folder) if (folder / "bundle.json").is_file() else _attention(folder)
    run(speech(WARM_UP_S))
    waveform = speech(seconds)
    try:
        taken_s = seconds_of(lambda: run(waveform))
        print(json.dumps({"seconds": taken_s, "peak_bytes": memory.peak_bytes()}))
    except (MemoryError, RuntimeError, InferenceFailed) as error:
        if "alloc" not in str(error) and "memory" not in str(error):
            raise
        print(json.dumps({"failure": f"out of memory at {options.MEMORY_BYTES / 1e9:.0f} GB"}))


def _engine(folder: Path) -> Run:
    from service.backends import load_model
    from service.bundle import load_bundle

    model = load_model(load_bundle(folder), device="cpu", threads=options.CORES).model
    return lambda waveform: model.infer(waveform[np.newaxis], np.array([waveform.size]))


def _attention(folder: Path) -> Run:
    import torch

    from model_export.encoders.families import build_model

    torch.set_num_threads(options.CORES)
    model = build_model(folder, vocabulary_size=VOCABULARY_SIZE)

    def run(waveform: FloatArray) -> None:
        with torch.inference_mode():
            model(torch.from_numpy(waveform)[None], torch.tensor([waveform.size]))

    return run


if __name__ == "__main__":
    main()
