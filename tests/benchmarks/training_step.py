"""Training steps on one batch in a process of its own: their time and its peak memory.

    python -m tests.benchmarks.training_step BASE wsm|full CLIPS SECONDS

Prints a line of JSON: `seconds` of the last step, `before_bytes` and `peak_bytes`, or `failure`.
"""

import json
import resource
import sys
from pathlib import Path

import torch

from model_export.training.training_data import Example
from service import memory
from service.audio import SAMPLE_RATE_HZ
from tests.benchmarks import options, training
from tests.benchmarks.clips import speech
from tests.benchmarks.timing import seconds_of

RECIPES = {"wsm": training.WSM, "full": training.FULL}
LABELS_PER_S = 12
STEPS = 3  # the moments of the optimiser come with the first


def main() -> None:
    """Measure once."""
    folder, recipe, clips, seconds = sys.argv[1:]
    resource.setrlimit(resource.RLIMIT_DATA, (options.MEMORY_BYTES, options.MEMORY_BYTES))
    torch.set_num_threads(options.CORES)
    learning = training.objective(Path(folder), RECIPES[recipe])
    learner, examples = training.Learner(learning), _Batch(int(clips), float(seconds))
    before_bytes = memory.resident_bytes()
    try:
        for _ in range(STEPS):
            taken_s = seconds_of(lambda: learner.epoch(examples, [range(len(examples))]))
    except (MemoryError, RuntimeError) as error:
        if "alloc" not in str(error) and "memory" not in str(error):
            raise
        print(json.dumps({"failure": f"out of memory at {options.MEMORY_BYTES / 1e9:.0f} GB"}))
        return
    figures = {"before_bytes": before_bytes, "peak_bytes": memory.peak_bytes()}
    print(json.dumps({"seconds": taken_s} | figures))


class _Batch:
    """Clips of one length, each from another place of the test recordings."""

    def __init__(self, clips: int, seconds: float) -> None:
        self.sizes = [int(seconds * SAMPLE_RATE_HZ)] * clips
        self._waveforms = [torch.from_numpy(speech(seconds, 5.0 * i)) for i in range(clips)]
        self._labels = torch.arange(int(seconds * LABELS_PER_S)) % 26 + 5

    def __len__(self) -> int:
        return len(self.sizes)

    def __getitem__(self, index: int) -> Example:
        return Example(self._waveforms[index], self._labels)


if __name__ == "__main__":
    main()
