"""Runtimes for acoustic models; nothing heavy is imported before a model is loaded."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from service import memory
from service.backends.base import AcousticModel, Arithmetic, Device, Tuning
from service.backends.parallelism import Parallelism, choose_parallelism, usable_cores
from service.backends.warmup import length_buckets, warm_up, warmup_shapes
from service.bundle import Bundle, Precision, Runtime, Variant
from service.config import silence_onnxruntime
from service.errors import InferenceFailed, InvalidBundle
from service.golden import Golden

silence_onnxruntime()

__all__ = [
    "MAX_BATCH_SAMPLES",
    "AcousticModel",
    "Arithmetic",
    "Device",
    "LoadedModel",
    "Tuning",
    "load_model",
]

# Largest difference from the golden logits, which float32 arithmetic of the training framework
# made. Float32 differs between machines by the order of sums alone. Half precision is held to 5e-2
# at export; another card rounds otherwise, and bfloat16 has three bits less. Int8 has golden logits
# of its own, which move by tenths where a value falls to another step. Each limit is far below what
# a wrong or damaged graph is off by: whole units.
GOLDEN_TOLERANCE: dict[Precision, float] = {
    "float32": 1e-3,
    "float16": 1e-1,
    "bfloat16": 4e-1,
    "int8": 1.0,
}
SUITED: dict[Device, tuple[Precision, ...]] = {
    "cpu": ("float32", "int8"),
    "cuda": ("float16", "bfloat16", "float32"),
}
# A batch of more is no faster on a CPU, on which its members wait for each other: with one thread,
# 4 x 1 s took 0.75 of the time they take one by one, 4 x 2 s 0.92, 4 x 5 s 1.06 and 4 x 10 s 1.1.
# A GPU wants to be filled (not measured).
MAX_BATCH_SAMPLES: dict[Device, int] = {"cpu": 5 * 16_000, "cuda": 120 * 16_000}


@dataclass(frozen=True)
class LoadedModel:
    """A model that passed its self-test.

    Attributes:
        model: ready to infer.
        variant: which of the bundle's variants it is.
        device: where it runs.
        memory_bytes: growth of the process while it loaded and was tested.
        sessions: calls of `infer` that may run at once.
        max_batch_samples: most that a batch of several utterances should have, padding included.
    """

    model: AcousticModel
    variant: Variant
    device: Device
    memory_bytes: int
    sessions: int = 1
    max_batch_samples: int = MAX_BATCH_SAMPLES["cpu"]


def load_model(
    bundle: Bundle,
    *,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    threads: int | None = None,
    sessions: int | None = None,
    runtime: Runtime = "onnxruntime",
    tuning: Tuning = Tuning(),  # noqa: B008  frozen
) -> LoadedModel:
    """Load the first variant that suits the device, in the manifest's order, test and warm it.

    Args:
        bundle: verified.
        device: "auto" takes CUDA if the runtime offers it.
        threads: for one inference on CPU; None chooses by the cores.
        sessions: inferences at once; None chooses by the cores.
        runtime: TorchScript archives hold code, so they are loaded only when asked for here.
        tuning: how it uses the device.

    Raises:
        InvalidBundle: no such variant or device, not an acoustic model, or the self-test failed.
    """
    before_bytes = memory.resident_bytes()
    chosen: Device = _best_device(runtime) if device == "auto" else device
    variant = _choose_variant(bundle, runtime, chosen, tuning.precision)
    parallelism = choose_parallelism(usable_cores(), chosen, threads=threads, sessions=sessions)
    max_batch_samples = tuning.max_batch_samples or MAX_BATCH_SAMPLES[chosen]
    tuning = replace(
        tuning,
        batch_samples=max(tuning.batch_samples, max_batch_samples),
        shortest_samples=bundle.manifest.receptive_field_samples,
    )
    model = _open(bundle, variant, chosen, parallelism, tuning)
    golden = bundle.golden(variant.precision)
    _self_test(model, golden, variant, _tolerance(variant, tuning.precision))
    _warm_up(model, bundle, variant, chosen, tuning)
    growth_bytes = max(0, memory.resident_bytes() - before_bytes)
    return LoadedModel(
        model, variant, chosen, growth_bytes, parallelism.sessions, max_batch_samples
    )


def _choose_variant(
    bundle: Bundle, runtime: Runtime, device: Device, precision: Arithmetic
) -> Variant:
    """Precision chooses among graphs; an archive's arithmetic is set when it runs."""
    variants = bundle.variants_for(runtime)
    if not variants:
        offered = sorted({variant.runtime for variant in bundle.manifest.variants})
        raise InvalidBundle(
            f"{bundle.folder} has no variant for {runtime}, only for {', '.join(offered)}",
            found=offered,
            limit=runtime,
        )
    if precision == "auto" or (runtime == "torchscript" and precision != "int8"):
        return next((one for one in variants if one.precision in SUITED[device]), variants[0])
    if matching := [one for one in variants if one.precision == precision]:
        return matching[0]
    found = sorted({one.precision for one in variants})
    raise InvalidBundle(
        f"{bundle.folder} has no {precision} variant for {runtime}, only {', '.join(found)}",
        found=found,
        limit=precision,
    )


def _tolerance(variant: Variant, precision: Arithmetic) -> float:
    asked = GOLDEN_TOLERANCE[variant.precision if precision == "auto" else precision]
    return max(asked, GOLDEN_TOLERANCE[variant.precision])


def _best_device(runtime: Runtime) -> Device:
    if runtime == "torchscript":
        from service.backends.torchscript import cuda_is_offered
    else:
        from service.backends.onnx import cuda_is_offered
    return "cuda" if cuda_is_offered() else "cpu"


def _open(
    bundle: Bundle, variant: Variant, device: Device, parallelism: Parallelism, tuning: Tuning
) -> AcousticModel:
    path, threads = bundle.path_of(variant.file), parallelism.threads
    if variant.runtime == "torchscript":
        from service.backends.torchscript import TorchScriptModel

        buckets = length_buckets(bundle.manifest, tuning.batch_samples)
        return TorchScriptModel(
            path, device=device, threads=threads, tuning=tuning, buckets=buckets
        )
    graph = bundle.manifest.streaming
    if graph is not None and graph.has(variant.file):
        from service.backends.onnx_streaming import OnnxStreamingModel
        from service.backends.whole_utterances import WholeUtterances

        chunks = OnnxStreamingModel(path, graph, device=device, threads=threads, tuning=tuning)
        return WholeUtterances(chunks, graph, bundle.manifest.samples_per_frame)
    from service.backends.onnx import OnnxModel

    vocabulary_size = bundle.manifest.output_columns
    return OnnxModel(
        path, device=device, threads=threads, vocabulary_size=vocabulary_size, tuning=tuning
    )


def _self_test(model: AcousticModel, golden: Golden, variant: Variant, limit: float) -> None:
    lengths = np.array([golden.waveform.size], dtype=np.int64)
    try:
        logits, frame_lengths = model.infer(golden.waveform[np.newaxis], lengths)
    except InferenceFailed as error:
        raise InvalidBundle(f"{variant.file} fails its self-test: {error}") from error
    well_formed = logits.ndim == 3 and frame_lengths.shape == (1,)
    labels = golden.logits.shape[1]  # an attention decoder's frames come from the same layers
    found = logits[0, : frame_lengths[0], :labels] if well_formed else logits
    expected = golden.logits
    if found.shape != expected.shape:
        raise InvalidBundle(
            f"{variant.file} fails its self-test: logits {found.shape}, golden {expected.shape}",
            found=found.shape,
            limit=expected.shape,
        )
    difference = float(np.abs(found - expected).max())
    if not difference <= limit:
        raise InvalidBundle(
            f"{variant.file} fails its self-test: logits are off by {difference:g}, "
            f"{variant.precision} may be by {limit:g}",
            found=difference,
            limit=limit,
        )


def _warm_up(
    model: AcousticModel, bundle: Bundle, variant: Variant, device: Device, tuning: Tuning
) -> None:
    buckets = length_buckets(bundle.manifest, tuning.batch_samples)
    rows = tuning.batch_size if variant.batch_invariant else 1
    shapes = warmup_shapes(device, variant.runtime, buckets, tuning.batch_samples, rows)
    try:
        warm_up(model, shapes)
    except InferenceFailed as error:
        raise InvalidBundle(f"{variant.file} fails its first runs: {error}") from error
