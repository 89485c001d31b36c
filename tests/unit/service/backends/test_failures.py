import pytest

from service.backends.failures import failure_of, kind_of
from service.errors import DeviceLost, InferenceFailed, OutOfMemory

MESSAGES = {
    OutOfMemory: [
        # ONNX Runtime, CUDA and CPU; at its own limit; a library that found no workspace
        "[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Non-zero status code returned while running "
        "FusedMatMul node. Name:'MatMul_92' Status Message: bfc_arena.cc:331 void* "
        "onnxruntime::BFCArena::AllocateRawInternal(size_t, bool) Failed to allocate memory for "
        "requested buffer of size 8388608000",
        "Available memory of 1048576 is smaller than requested bytes of 4194304",
        "CUDA failure 2: out of memory ; GPU=0 ; hostname=a ; expr=cudaMalloc((void**)&p, size);",
        "CUDNN failure 4: CUDNN_STATUS_ALLOC_FAILED ; GPU=0 ; hostname=a",
        # torch, CUDA and CPU
        "CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has a total capacity of 14.75 GiB",
        "[enforce fail at alloc_cpu.cpp:75] err == 0. DefaultCPUAllocator: can't allocate memory: "
        "you tried to allocate 132426121216 bytes. Error code 12 (Cannot allocate memory)",
        "DefaultCPUAllocator: not enough memory: you tried to allocate 5077901088 bytes.",
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "std::bad_alloc",
    ],
    DeviceLost: [
        "[ONNXRuntimeError] : 1 : FAIL : CUDA failure 700: an illegal memory access was "
        "encountered ; GPU=0 ; hostname=a ; expr=cudaMemcpyAsync(dst_data, src_data, bytes);",
        "CUDA error: device-side assert triggered\nCUDA kernel errors might be asynchronously "
        "reported at some other API call, so the stacktrace below might be incorrect.",
        "CUDA error: uncorrectable ECC error encountered\nCompile with `TORCH_USE_CUDA_DSA`",
        "CUDA error: unspecified launch failure",
        "CUDA error: misaligned address",
        "CUDA failure 702: the launch timed out and was terminated ; GPU=0",
        "CUDA error: unknown error",
        # the second fault is only what the first left behind
        "CUDA failure 700: an illegal memory access was encountered; later: out of memory",
    ],
    InferenceFailed: [
        "[ONNXRuntimeError] : 2 : INVALID_ARGUMENT : Got invalid dimensions for input: lengths",
        "CUDNN failure 5000: CUDNN_STATUS_EXECUTION_FAILED ; GPU=0 ; hostname=a",
        "mat1 and mat2 shapes cannot be multiplied (2x3 and 2x3)",
        "",
    ],
}


@pytest.mark.parametrize(
    ("kind", "message"), [(kind, text) for kind, texts in MESSAGES.items() for text in texts]
)
def test_a_message_says_what_happened(kind: type[InferenceFailed], message: str) -> None:
    assert kind_of(message) is kind


def test_the_failure_names_the_runtime_and_keeps_the_message() -> None:
    failure = failure_of(RuntimeError("shapes differ"), "TorchScript")
    assert str(failure) == "TorchScript failed: shapes differ"
    assert type(failure) is InferenceFailed


def test_python_running_out_of_memory_counts() -> None:
    assert type(failure_of(MemoryError(), "ONNX Runtime")) is OutOfMemory
