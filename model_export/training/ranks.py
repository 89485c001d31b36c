"""The processes that train together when torchrun starts several; without it the only one."""

from datetime import timedelta

import torch
from accelerate import PartialState
from accelerate.utils import reduce

PATIENCE = timedelta(days=2)  # how long the others wait for a cache that the first one computes


def has_accelerator() -> bool:
    """Whether there is a device beside the CPU to train on."""
    return bool(torch.accelerator.is_available())


def this_process() -> PartialState:
    """This process among its peers; the first call makes them meet."""
    return PartialState(cpu=not has_accelerator(), timeout=PATIENCE)


def any_process(flag: bool) -> bool:
    """Whether the flag is set in one of the processes; all must ask."""
    process = this_process()
    if process.num_processes == 1:
        return flag
    return bool(reduce(torch.tensor(float(flag), device=process.device)) > 0)
