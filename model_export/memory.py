"""How much memory training takes, and giving back what it no longer needs."""

import ctypes
import resource

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

STEPS_BETWEEN_TRIMS = 5


class MemoryTrimmer(TrainerCallback):
    """Hands freed memory back to the system every few steps.

    Batches differ in length, so what glibc keeps of one seldom fits the next: resident memory
    grows through hundreds of steps. Trimming bounds it, for some 5 % of the time.
    """

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object
    ) -> None:
        """Trim now and then."""
        if state.global_step % STEPS_BETWEEN_TRIMS == 0:
            trim_heap()


def trim_heap() -> None:
    """Return free pages to the system, where the C library can (glibc)."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def peak_memory_bytes() -> int:
    """Most memory in use so far: allocated on the GPU if there is one, else resident."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
