"""How much memory training takes, and giving back what it no longer needs."""

import resource

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from service.memory import trim_heap

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


def peak_memory() -> dict[str, float]:
    """Most memory in use so far, in GiB.

    Returns:
        host_gib, resident; and with a GPU, cuda_gib, in tensors, and cuda_reserved_gib, with what
        the allocator keeps.
    """
    readings = {"host_gib": peak_memory_bytes() / 2**30}
    if torch.cuda.is_available():
        readings["cuda_gib"] = torch.cuda.max_memory_allocated() / 2**30
        readings["cuda_reserved_gib"] = torch.cuda.max_memory_reserved() / 2**30
    return readings


def peak_memory_bytes() -> int:
    """Most memory of the host that this process had resident so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
