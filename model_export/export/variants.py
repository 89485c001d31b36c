"""The model files that a bundle may hold: how each is written, and when it is refused."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from model_export.encoders.ctc_model import CtcModel
from model_export.errors import ExportError
from model_export.export.exporters import export_onnx, export_torchscript
from model_export.export.int8 import export_int8
from model_export.export.packing import packed
from model_export.export.parity import (
    Parity,
    measure_parity,
    require_parity,
    require_same_labels,
)
from service.arrays import FloatArray
from service.audio import SAMPLE_RATE_HZ
from service.backends import AcousticModel, Tuning
from service.backends.onnx import OnnxModel
from service.backends.onnx_streaming import OnnxStreamingModel
from service.backends.whole_utterances import WholeUtterances
from service.bundle import Precision, Runtime, Variant
from service.streaming_form import Streaming

# Float32 is refused unless clips give the same logits in batches and alone. Int8 rounds a value
# between two steps to either, as the batch's shape has it: up to 0.13 in logits, so it runs alone.
FLOAT32 = Variant(
    file="model.onnx", runtime="onnxruntime", precision="float32", batch_invariant=True
)
INT8 = Variant(
    file="model.int8.onnx.gz", runtime="onnxruntime", precision="int8", batch_invariant=False
)
TORCHSCRIPT = Variant(
    file="model.ts", runtime="torchscript", precision="float32", batch_invariant=True
)
KINDS = (FLOAT32, INT8, TORCHSCRIPT)
INT8_PARITY_CLIPS = 24
GOLDEN_S = 2.0


@dataclass(frozen=True)
class Recordings:
    """Real speech, each `[samples]`.

    Attributes:
        parity: to hold variants against the eager model; the first becomes the self-test.
        ranges: to set the ranges of int8.
    """

    parity: Sequence[FloatArray] = ()
    ranges: Sequence[FloatArray] = ()


def choose_variants(
    runtimes: Sequence[Runtime], precisions: Sequence[Precision]
) -> tuple[Variant, ...]:
    """The variants to write, in the order of precisions.

    Raises:
        ExportError: no runtime has such a precision.
    """
    chosen = tuple(
        kind
        for precision in precisions
        for kind in KINDS
        if kind.precision == precision and kind.runtime in runtimes
    )
    if not chosen:
        raise ExportError(
            f"no variant is {' or '.join(precisions)} for {' or '.join(runtimes)}; there are: "
            + ", ".join(f"{kind.precision} for {kind.runtime}" for kind in KINDS)
        )
    return chosen


def of_streaming_graph(variant: Variant, form: Streaming) -> Variant:
    """The variant as the streaming graph of its precision, which takes whole utterances too.

    TorchScript archives stay as they are.
    """
    files = {graph.precision: graph.file for graph in form.variants}
    if variant.runtime != "onnxruntime" or variant.precision not in files:
        return variant
    return variant.model_copy(update={"file": files[variant.precision]})


def write_variant(variant: Variant, model: CtcModel, folder: Path, recordings: Recordings) -> None:
    """Write a model file.

    Raises:
        ExportError: torch cannot export this model, or int8 has no recordings.
    """
    path = folder / variant.file
    if variant.precision == "int8":
        with packed(path) as graph:
            export_int8(model, graph, recordings.ranges)
    elif variant.runtime == "torchscript":
        export_torchscript(model, path)
    else:
        export_onnx(model, path)


def check_variant(
    variant: Variant, model: CtcModel, exported: AcousticModel, recordings: Recordings
) -> Parity:
    """Hold a variant against the eager model.

    Raises:
        ParityFailed: it leaves its tolerance.
    """
    if variant.precision == "int8":
        # Its ranges are those of speech, so noise would tell nothing.
        clips = [*recordings.parity, *recordings.ranges[:INT8_PARITY_CLIPS]]
        parity = measure_parity(model, exported, clips, trials=0)
        require_same_labels(variant.file, parity)
    else:
        parity = measure_parity(model, exported, recordings.parity)
        require_parity(variant.file, parity)
    return parity


def golden_arrays(
    model: CtcModel, int8: AcousticModel | None, recordings: Recordings
) -> dict[str, FloatArray]:
    """The self-test: a waveform `[samples]`, its logits, and those of int8, which rounds more."""
    waveform = recordings.parity[0] if recordings.parity else _noise()
    rows, lengths = waveform[np.newaxis], np.array([len(waveform)])
    with torch.inference_mode():
        logits, _ = model(torch.from_numpy(rows), torch.from_numpy(lengths))
    labels = model.head.out_features
    arrays = {"waveform": waveform, "logits": logits[0, :, :labels].numpy()}
    if int8 is not None:
        arrays["logits.int8"] = int8.infer(rows, lengths)[0][0, :, :labels]
    return arrays


def open_int8(
    variant: Variant, form: Streaming | None, model: CtcModel, folder: Path
) -> AcousticModel:
    """Open an int8 variant that was written, before there is a bundle to load."""
    path = folder / variant.file
    if form is None or not form.has(variant.file):
        vocabulary_size = model.output_columns
        return OnnxModel(path, device="cpu", threads=1, vocabulary_size=vocabulary_size)
    chunks = OnnxStreamingModel(path, form, device="cpu", threads=1, tuning=Tuning())
    return WholeUtterances(chunks, form, model.front_end.samples_per_frame)


def _noise() -> FloatArray:
    noise = np.random.default_rng(0).standard_normal(int(GOLDEN_S * SAMPLE_RATE_HZ)) * 0.1
    return noise.astype(np.float32)
