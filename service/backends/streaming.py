"""Streaming graphs: chunks and states in, logits and states out."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from service.backends.base import Device, State, StreamingModel, Tuning
from service.bundle import Bundle
from service.errors import InferenceFailed, InvalidBundle
from service.streaming_form import Streaming, StreamingVariant

SUITED: dict[Device, tuple[str, ...]] = {
    "cpu": ("float32", "int8"),
    "cuda": ("float16", "bfloat16", "float32"),
}
TESTED_ROWS = (1, 2)


def first_state(graph: Streaming) -> State:
    """A stream's state at an utterance's start."""
    return {state.name: np.zeros(state.shape, state.dtype) for state in graph.states}


def first_states(graph: Streaming, rows: int) -> State:
    """States of so many streams at an utterance's start, each with a batch axis."""
    return {name: np.stack([zeros] * rows) for name, zeros in first_state(graph).items()}


def row_samples(graph: Streaming, samples_per_frame: int) -> int:
    """Samples of one row: left context, chunk and lookahead."""
    chunk_samples = graph.chunk_frames * samples_per_frame
    return graph.left_context_samples + chunk_samples + graph.lookahead_samples


def load_streaming_model(
    bundle: Bundle,
    *,
    device: Device,
    runtime: Literal["onnxruntime", "torchscript"],
    tuning: Tuning,
) -> StreamingModel | None:
    """Load and try the bundle's streaming graph; None if it has none, or not for this runtime.

    One thread computes it: chunks are too short to be shared among several.

    Raises:
        InvalidBundle: it is no streaming graph of this manifest, or fails on silence.
    """
    graph = bundle.manifest.streaming
    if graph is None or runtime != "onnxruntime":
        return None
    from service.backends.onnx_streaming import OnnxStreamingModel

    variant = _choose_variant(graph, device, tuning)
    # The engines that TensorRT builds are for the shapes of whole utterances.
    tuning = replace(tuning, tensorrt_cache=None)
    model = OnnxStreamingModel(
        bundle.path_of(variant.file), graph, device=device, threads=1, tuning=tuning
    )
    for rows in TESTED_ROWS:
        _try(model, bundle, variant, rows)
    return model


def _choose_variant(graph: Streaming, device: Device, tuning: Tuning) -> StreamingVariant:
    asked = SUITED[device] if tuning.precision == "auto" else (tuning.precision,)
    suited = [one for one in graph.variants if one.precision in asked]
    return (suited or list(graph.variants))[0]


def _try(model: StreamingModel, bundle: Bundle, variant: StreamingVariant, rows: int) -> None:
    """Silence must give a chunk of logits, and states as the manifest says."""
    manifest, graph = bundle.manifest, bundle.manifest.streaming
    assert graph is not None, "only called for bundles with a streaming graph"
    samples = row_samples(graph, manifest.samples_per_frame)
    states = first_states(graph, rows)
    try:
        output = model.infer(
            np.zeros((rows, samples), np.float32), np.full(rows, samples, np.int64), states
        )
    except InferenceFailed as error:
        raise InvalidBundle(f"{variant.file} fails on silence: {error}") from error
    found = (output.logits.shape, output.frame_lengths.tolist(), _shapes(output.states))
    frames = graph.chunk_frames
    shape = (rows, frames, len(manifest.vocabulary.tokens))
    expected = (shape, [frames] * rows, _shapes(states))
    if found != expected or not np.isfinite(output.logits).all():
        raise InvalidBundle(
            f"{variant.file} gives {found} for a chunk of silence; expected {expected}",
            found=found,
            limit=expected,
        )


def _shapes(states: Mapping[str, npt.NDArray[Any]]) -> dict[str, tuple[str, tuple[int, ...]]]:
    return {name: (str(tensor.dtype), tensor.shape) for name, tensor in states.items()}
