"""Runtimes for acoustic models; nothing heavy is imported before a model is loaded."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from service import memory
from service.backends.base import AcousticModel, Device
from service.bundle import Bundle, Golden, Precision, Runtime, Variant
from service.errors import InferenceFailed, InvalidBundle

__all__ = ["AcousticModel", "Device", "LoadedModel", "load_model"]

# Largest difference from the golden logits, which float32 arithmetic of the training framework
# made. Float32 differs between machines by the order of sums alone. Half precision is held to 5e-2
# at export; another card rounds otherwise, and bfloat16 has three bits less. Int8 rounds weights
# once more. Each limit is far below what a wrong or damaged graph is off by: whole units.
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


@dataclass(frozen=True)
class LoadedModel:
    """A model that passed its self-test.

    Attributes:
        model: ready to infer.
        variant: which of the bundle's variants it is.
        device: where it runs.
        memory_bytes: growth of the process while it loaded and was tested.
        sessions: calls of `infer` that it takes at once.
    """

    model: AcousticModel
    variant: Variant
    device: Device
    memory_bytes: int
    sessions: int = 1


def load_model(
    bundle: Bundle,
    *,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    threads: int | None = None,
    runtime: Runtime = "onnxruntime",
) -> LoadedModel:
    """Load the first variant that suits the device, in the manifest's order, and test it.

    Args:
        bundle: verified.
        device: "auto" takes CUDA if the runtime offers it.
        threads: for one operator on CPU; None leaves it to the runtime.
        runtime: TorchScript archives hold code, so they are loaded only when asked for here.

    Raises:
        InvalidBundle: no such variant or device, not an acoustic model, or the self-test failed.
    """
    before_bytes = memory.resident_bytes()
    variants = bundle.variants_for(runtime)
    if not variants:
        offered = sorted({variant.runtime for variant in bundle.manifest.variants})
        raise InvalidBundle(
            f"{bundle.folder} has no variant for {runtime}, only for {', '.join(offered)}",
            found=offered,
            limit=runtime,
        )
    chosen: Device = _best_device(runtime) if device == "auto" else device
    variant = next((one for one in variants if one.precision in SUITED[chosen]), variants[0])
    model = _open(bundle, variant, chosen, threads)
    _self_test(model, bundle.golden(), variant)
    growth_bytes = max(0, memory.resident_bytes() - before_bytes)
    return LoadedModel(model, variant, chosen, growth_bytes)


def _best_device(runtime: Runtime) -> Device:
    if runtime == "torchscript":
        from service.backends.torchscript import cuda_is_offered
    else:
        from service.backends.onnx import cuda_is_offered
    return "cuda" if cuda_is_offered() else "cpu"


def _open(bundle: Bundle, variant: Variant, device: Device, threads: int | None) -> AcousticModel:
    path = bundle.path_of(variant.file)
    if variant.runtime == "torchscript":
        from service.backends.torchscript import TorchScriptModel

        return TorchScriptModel(path, device=device, threads=threads)
    from service.backends.onnx import OnnxModel

    vocabulary_size = len(bundle.manifest.vocabulary.tokens)
    return OnnxModel(path, device=device, threads=threads, vocabulary_size=vocabulary_size)


def _self_test(model: AcousticModel, golden: Golden, variant: Variant) -> None:
    lengths = np.array([golden.waveform.size], dtype=np.int64)
    try:
        logits, frame_lengths = model.infer(golden.waveform[np.newaxis], lengths)
    except InferenceFailed as error:
        raise InvalidBundle(f"{variant.file} fails its self-test: {error}") from error
    well_formed = logits.ndim == 3 and frame_lengths.shape == (1,)
    found, expected = logits[0, : frame_lengths[0]] if well_formed else logits, golden.logits
    if found.shape != expected.shape:
        raise InvalidBundle(
            f"{variant.file} fails its self-test: logits {found.shape}, golden {expected.shape}",
            found=found.shape,
            limit=expected.shape,
        )
    difference = float(np.abs(found - expected).max())
    if not difference <= (limit := GOLDEN_TOLERANCE[variant.precision]):
        raise InvalidBundle(
            f"{variant.file} fails its self-test: logits are off by {difference:g}, "
            f"{variant.precision} may be by {limit:g}",
            found=difference,
            limit=limit,
        )
