"""A model as an ONNX graph or a TorchScript archive.

Both take waveforms `[batch, samples]` float32 and lengths `[batch]` int64, and give logits
`[batch, frames, vocab]` and frame_lengths `[batch]`.
"""

import contextlib
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper
from torch import Tensor

from model_export.ctc_model import CtcModel
from model_export.errors import ExportError
from model_export.piecewise import Piecewise
from service.audio import SAMPLE_RATE_HZ
from service.backends.base import INPUTS, OUTPUTS

OPSET = 20
CHATTY_LOGGERS = ("torch.onnx", "onnxscript", "onnx_ir")
LARGEST_BATCH = 4096
SMALLEST_COMPACTED = 1024  # elements; below this a Cast costs more than it saves


def export_onnx(model: CtcModel, path: Path) -> None:
    """Write an ONNX graph in float32, its weights stored as float16 where that loses nothing.

    Raises:
        ExportError: torch cannot export this model.
    """
    longest_s = model.front_end.longest_pass_s
    samples = torch.export.Dim(
        "samples",
        min=model.front_end.receptive_field_samples,
        max=None if longest_s is None else int(longest_s * SAMPLE_RATE_HZ),
    )
    batch = torch.export.Dim("batch", min=1, max=LARGEST_BATCH)
    with _quiet():
        program = torch.onnx.export(
            model,
            _example(model),
            dynamo=True,
            opset_version=OPSET,
            input_names=list(INPUTS),
            output_names=list(OUTPUTS),
            dynamic_shapes={"waveforms": {0: batch, 1: samples}, "lengths": {0: batch}},
            verbose=False,
        )
    if program is None:
        raise ExportError("torch gave no ONNX program")
    graph = program.model_proto
    graph.graph.output[0].type.tensor_type.shape.dim[1].dim_param = "frames"
    forget_origin(graph)
    compact_weights(graph)
    onnx.checker.check_model(graph)
    onnx.save(graph, path)


def export_torchscript(model: CtcModel, path: Path) -> None:
    """Write a traced TorchScript archive."""
    with _quiet(), _scripted_loops(model), torch.inference_mode():
        traced = torch.jit.trace(model, _example(model), check_trace=False)
        torch.jit.save(traced, path)


def round_weights(model: CtcModel) -> None:
    """Round every parameter to what float16 holds, so that storing it so loses nothing."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(parameter.half().float())


def forget_origin(graph: onnx.ModelProto) -> None:
    """Drop what torch notes about the code each node came from: stack traces with local paths."""
    for part in (graph, *_parts(graph.graph)):
        del part.metadata_props[:]
        part.doc_string = ""


def _parts(graph: onnx.GraphProto) -> Iterator[Any]:
    """A graph, all that it lists, and the same of the graphs inside its nodes."""
    yield graph
    for listed in (graph.node, graph.initializer, graph.value_info, graph.input, graph.output):
        yield from listed
    for attribute in (attribute for node in graph.node for attribute in node.attribute):
        if attribute.HasField("g"):
            yield from _parts(attribute.g)


def compact_weights(graph: onnx.ModelProto) -> None:
    """Store float32 weights as float16 behind a Cast, where every value survives unchanged.

    A runtime folds the Cast at load, so arithmetic stays float32.
    """
    casts = []
    for weight in graph.graph.initializer:
        values = numpy_helper.to_array(weight)
        if not _fits_float16(values):
            continue
        name, stored = weight.name, f"{weight.name}.float16"
        weight.CopyFrom(numpy_helper.from_array(values.astype(np.float16), stored))
        casts.append(helper.make_node("Cast", [stored], [name], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *graph.graph.node]
    del graph.graph.node[:]
    graph.graph.node.extend(nodes)
    known = {cast.output[0] for cast in casts}
    shapes = [info for info in graph.graph.value_info if info.name not in known]
    del graph.graph.value_info[:]
    graph.graph.value_info.extend(shapes)


def _fits_float16(values: np.ndarray) -> bool:
    if values.dtype != np.float32 or values.size < SMALLEST_COMPACTED:
        return False
    with np.errstate(over="ignore"):
        return bool(np.array_equal(values.astype(np.float16).astype(np.float32), values))


def _example(model: CtcModel) -> tuple[Tensor, Tensor]:
    """Two rows of unequal length: nothing about them may end up in the graph."""
    samples = 8 * model.front_end.receptive_field_samples + 16_001
    return torch.zeros(2, samples), torch.tensor([samples, samples - 7000])


@contextlib.contextmanager
def _scripted_loops(model: CtcModel) -> Iterator[None]:
    """Compile what loops: a trace would unroll it for the one length it sees."""
    loops = [
        (parent, name, child)
        for parent in model.modules()
        for name, child in parent.named_children()
        if isinstance(child, Piecewise)
    ]
    try:
        for parent, name, loop in loops:
            setattr(parent, name, torch.jit.script(loop))
        yield
    finally:
        for parent, name, loop in loops:
            setattr(parent, name, loop)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence torch's own deprecations and the tracer's remarks; parity is checked instead."""
    loggers = [logging.getLogger(name) for name in CHATTY_LOGGERS]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
