"""What a runtime's error means for the process: try smaller, give up for good, or fail this batch.

Runtimes tell by text alone, so here is what they write: CUDA's descriptions of its errors, which
torch and ONNX Runtime repeat, and the words of their allocators. After the errors of the second
table every later CUDA call of the process fails too (CUDA Runtime API, `cudaError_t`: "to continue
using CUDA, the process must be terminated and relaunched").

cuDNN's and cuBLAS's EXECUTION_FAILED stand in neither: they also come from a single bad launch, and
if the device is gone, the next batch meets an error that says so.
"""

from service.errors import DeviceLost, InferenceFailed, OutOfMemory

OUT_OF_MEMORY = (
    "out of memory",
    "failed to allocate memory",  # ONNX Runtime's arena
    "is smaller than requested bytes",  # the same, at its limit
    "can't allocate memory",  # torch on CPU
    "not enough memory",  # torch on CPU, Windows
    "unable to allocate",  # numpy
    "bad_alloc",
    "status_alloc_failed",  # cuBLAS and cuDNN
)
DEVICE_LOST = (
    "illegal memory access",
    "device-side assert",
    "unspecified launch failure",
    "launch timed out",
    "uncorrectable ecc error",
    "uncorrectable nvlink error",
    "misaligned address",
    "an illegal instruction",
    "hardware stack error",
    "invalid program counter",
    "operation not supported on global/shared address space",
    "no cuda-capable device is detected",
    "cuda driver is shutting down",
    "cuda error: unknown error",
    "cuda failure 999",
)


def failure_of(error: Exception, runtime: str) -> InferenceFailed:
    """Our error for one that a runtime raised while it ran a batch.

    Args:
        error: what it raised.
        runtime: its name, for the message.
    """
    kind = OutOfMemory if isinstance(error, MemoryError) else kind_of(str(error))
    return kind(f"{runtime} failed: {error}")


def kind_of(message: str) -> type[InferenceFailed]:
    """Which class of error a message belongs to; a lost device goes before memory."""
    text = message.lower()
    if any(mark in text for mark in DEVICE_LOST):
        return DeviceLost
    if any(mark in text for mark in OUT_OF_MEMORY):
        return OutOfMemory
    return InferenceFailed
