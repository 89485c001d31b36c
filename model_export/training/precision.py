"""Which arithmetic training computes in; weights and sums stay float32 in all of them."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Literal, get_args

from model_export.errors import TrainingRefused

if TYPE_CHECKING:  # the command line lists the choices here without waiting for torch
    import torch

Precision = Literal["fp32", "bf16", "fp16"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
BFLOAT16_UNITS = ("amx_bf16", "avx512_bf16")  # of CPUs, as torch calls them


def choose_precision(wanted: str) -> Precision:
    """Settle `auto`: what this machine computes fast and safely.

    That is bfloat16 on a GPU or CPU that multiplies its matrices in hardware (of CPUs, those with
    AMX or AVX512-BF16), float16 with loss scaling on other GPUs, and float32 elsewhere: most CPUs
    lose by less.

    Raises:
        TrainingRefused: float16 was asked for without a CUDA device.
    """
    from torch import cpu, cuda

    if wanted == "auto":
        if not cuda.is_available():
            found = cpu.get_capabilities()
            return "bf16" if any(found.get(unit) for unit in BFLOAT16_UNITS) else "fp32"
        return "bf16" if cuda.is_bf16_supported(including_emulation=False) else "fp16"
    if wanted == "fp16" and not cuda.is_available():
        raise TrainingRefused("precision fp16 needs a CUDA device, and there is none; try bf16")
    return next(precision for precision in PRECISIONS if precision == wanted)


def autocast(precision: Precision, device: torch.device) -> contextlib.AbstractContextManager[None]:
    """A context that computes in a precision."""
    import torch

    if precision == "fp32":
        return contextlib.nullcontext()
    dtype = torch.bfloat16 if precision == "bf16" else torch.float16
    context: contextlib.AbstractContextManager[None] = torch.autocast(device.type, dtype)
    return context
