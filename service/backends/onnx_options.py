"""What ONNX Runtime is told, and why. CUDA and TensorRT: from the documentation, not measured."""

from typing import Any

import onnxruntime

from service.backends.base import Device, Tuning
from service.errors import InvalidBundle

TENSORRT = "TensorrtExecutionProvider"
CUDA = "CUDAExecutionProvider"
CPU = "CPUExecutionProvider"
SHRINK = "memory.enable_memory_arena_shrinkage"
TYPICAL_S = 5
RATE_HZ = 16_000

Provider = tuple[str, dict[str, str]]


def session_options(threads: int, device: Device) -> Any:  # noqa: ANN401
    """Options of a session.

    Args:
        threads: for one operator on CPU.
        device: where the graph runs.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.enable_mem_pattern = False  # patterns are kept per shape, and lengths never repeat
    options.log_severity_level = 3
    # Threads that spin for work take cores from decoding, from the event loop and from each other:
    # on 2 busy cores two spinning threads were a third slower than two that sleep; on idle ones a
    # single request took 14 ms with and 19 ms without.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if device == "cuda":
        # Weights outside the arena, so that a shrinking arena is not held by them.
        options.add_session_config_entry("session.use_device_allocator_for_initializers", "1")
    return options


def run_options(device: Device, *, give_back: bool) -> Any:  # noqa: ANN401
    """Options of one run.

    Args:
        device: where the graph runs; with CUDA some operators run on CPU, too.
        give_back: shrink the arenas after this run.
    """
    options = onnxruntime.RunOptions()
    if give_back:
        arenas = "cpu:0;gpu:0" if device == "cuda" else "cpu:0"
        options.add_run_config_entry(SHRINK, arenas)
    return options


def providers(device: Device, tuning: Tuning) -> list[Provider]:
    """Execution providers, the preferred one first; ONNX Runtime itself adds CPU behind CUDA.

    Raises:
        InvalidBundle: this ONNX Runtime lacks one that was asked for.
    """
    chosen: list[Provider] = [(CPU, {})] if device == "cpu" else [(CUDA, _cuda_options(tuning))]
    if tuning.tensorrt_cache is not None:
        if device == "cpu":
            raise InvalidBundle("TensorRT runs on cuda only; unset STT_TENSORRT_CACHE")
        chosen.insert(0, (TENSORRT, _tensorrt_options(tuning)))
    offered = onnxruntime.get_available_providers()
    if missing := [name for name, _ in chosen if name not in offered]:
        raise InvalidBundle(
            f"this ONNX Runtime cannot run models on {device}: it has no {missing[0]}",
            found=offered,
            limit=missing[0],
        )
    return chosen


def _cuda_options(tuning: Tuning) -> dict[str, str]:
    options = {
        "device_id": "0",
        # The default doubles the arena at each extension: half of it may never be used.
        "arena_extend_strategy": "kSameAsRequested",
        # EXHAUSTIVE, the default, tries every algorithm anew for each shape it has not seen, and
        # lengths never repeat; the heuristic is one look-up per new shape.
        "cudnn_conv_algo_search": "HEURISTIC",
        # Without, fast algorithms are left out on long inputs; the arena gives the space back.
        "cudnn_conv_use_max_workspace": "1",
        # A float32 variant means float32: TF32 would round inputs to 10 bits. Use float16 instead.
        "use_tf32": "0",
    }
    if tuning.gpu_memory_bytes is not None:
        options["gpu_mem_limit"] = str(tuning.gpu_memory_bytes)
    return options


def _tensorrt_options(tuning: Tuning) -> dict[str, str]:
    """One engine for all ordinary batches: building one takes minutes, hence profile and cache."""
    typical = min(TYPICAL_S * RATE_HZ, tuning.batch_samples)
    rows = max(1, min(tuning.batch_size, tuning.batch_samples // typical))
    return {
        "device_id": "0",
        "trt_engine_cache_enable": "1",
        "trt_timing_cache_enable": "1",
        "trt_engine_cache_path": str(tuning.tensorrt_cache),
        "trt_timing_cache_path": str(tuning.tensorrt_cache),
        "trt_profile_min_shapes": _shapes(1, tuning.shortest_samples),
        "trt_profile_opt_shapes": _shapes(rows, typical),
        "trt_profile_max_shapes": _shapes(tuning.batch_size, tuning.batch_samples),
    }


def _shapes(rows: int, samples: int) -> str:
    return f"waveforms:{rows}x{samples},lengths:{rows}"
