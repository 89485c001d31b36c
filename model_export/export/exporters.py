"""A model as an ONNX graph or a TorchScript archive.

Both take waveforms `[batch, samples]` float32 and lengths `[batch]` int64, and give logits
`[batch, frames, vocab]` and frame_lengths `[batch]`.
"""

import contextlib
import logging
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper
from torch import Tensor, nn

from model_export.encoders.ctc_model import CtcModel
from model_export.errors import ExportError
from model_export.export.onnx_scan import OpaqueLoop, fill_loops
from model_export.front_ends.piecewise import Piecewise
from service.audio import SAMPLE_RATE_HZ
from service.backends.base import INPUTS, OUTPUTS

OPSET = 20
CHATTY_LOGGERS = ("torch.onnx", "onnxscript", "onnx_ir")
BATCH = torch.export.Dim("batch", min=1, max=4096)
SMALLEST_COMPACTED = 1024  # elements; below this a Cast costs more than it saves


def export_onnx(model: CtcModel, path: Path) -> None:
    """Write an ONNX graph in float32.

    Raises:
        ExportError: torch cannot export this model.
    """
    save_graph(onnx_graph(model), path)


def onnx_graph(model: CtcModel) -> onnx.ModelProto:
    """A float32 graph, its nodes still knowing which module they come from.

    Raises:
        ExportError: torch cannot export this model.
    """
    longest_s = model.front_end.longest_pass_s
    samples = torch.export.Dim(
        "samples",
        min=model.front_end.receptive_field_samples,
        max=None if longest_s is None else int(longest_s * SAMPLE_RATE_HZ),
    )
    bodies = {name: _export_body(loop, model) for name, loop in _loops(model).items()}
    with _replaced_loops(model, OpaqueLoop):
        graph = onnx_program(
            model,
            _example(model),
            input_names=list(INPUTS),
            output_names=list(OUTPUTS),
            dynamic_shapes={"waveforms": {0: BATCH, 1: samples}, "lengths": {0: BATCH}},
        )
    fill_loops(graph, bodies)
    graph.graph.output[0].type.tensor_type.shape.dim[1].dim_param = "frames"
    return graph


def save_graph(graph: onnx.ModelProto, path: Path) -> None:
    """Write a graph, its weights stored as float16 where that loses nothing."""
    forget_origin(graph)
    compact_weights(graph)
    onnx.checker.check_model(graph)
    onnx.save(graph, path)


def export_torchscript(model: CtcModel, path: Path) -> None:
    """Write a traced TorchScript archive."""
    with _quiet(), _replaced_loops(model, lambda _, loop: torch.jit.script(loop)):
        with torch.inference_mode():
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
    # Types and sizes inside the graph: runtimes infer them, and some are now of other tensors.
    del graph.graph.value_info[:]


def _fits_float16(values: np.ndarray) -> bool:
    if values.dtype != np.float32 or values.size < SMALLEST_COMPACTED:
        return False
    with np.errstate(over="ignore"):
        return bool(np.array_equal(values.astype(np.float16).astype(np.float32), values))


def _example(model: CtcModel) -> tuple[Tensor, Tensor]:
    """Two rows of unequal length: nothing about them may end up in the graph."""
    samples = 8 * model.front_end.receptive_field_samples + 16_001
    return torch.zeros(2, samples), torch.tensor([samples, samples - 7000])


def _loops(model: CtcModel) -> dict[str, Piecewise]:
    return {name: part for name, part in model.named_modules() if isinstance(part, Piecewise)}


@contextlib.contextmanager
def _replaced_loops(
    model: CtcModel, stand_in: Callable[[str, Piecewise], nn.Module]
) -> Iterator[None]:
    """Let something else stand for each loop: a trace would unroll it for the one length it saw."""
    loops = _loops(model)
    try:
        for name, loop in loops.items():
            model.set_submodule(name, stand_in(name, loop))
        yield
    finally:
        for name, loop in loops.items():
            model.set_submodule(name, loop)


def _export_body(loop: Piecewise, model: CtcModel) -> onnx.GraphProto:
    """What a loop does to one piece, with inputs as this model gives them."""
    seen: list[list[Tensor]] = []
    hook = loop.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0]))
    with hook, torch.inference_mode():
        model(*_example(model))
    piece = [each[0].clone() for each in seen[0]]
    sizes = [{0: BATCH, 1: torch.export.Dim("piece", min=1)}, *({0: BATCH} for _ in piece[1:])]
    return onnx_program(loop.body, (piece,), dynamic_shapes=(sizes,)).graph


def onnx_program(module: nn.Module, example: tuple[Any, ...], **options: Any) -> onnx.ModelProto:
    """Export a module.

    Args:
        module: any.
        example: its inputs.
        options: of `torch.onnx.export`.

    Raises:
        ExportError: torch cannot export it.
    """
    with _quiet():
        program = torch.onnx.export(
            module, example, dynamo=True, opset_version=OPSET, verbose=False, **options
        )
    if program is None:
        raise ExportError("torch gave no ONNX program")
    return program.model_proto


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
