"""An ONNX graph whose encoder layers multiply in 8-bit integers, for CPUs.

    float32 graph -> ranges of what each linear layer gets, on recordings
                  -> smoothing: loud channels shrink, the weights that meet them grow
                     (SmoothQuant; Xiao et al., 2023, eq. 3 and 4)
                  -> weights in 7 bits, a scale for each output; inputs in 8, a scale for each layer

Scales are fixed here, so no batch mate makes a row coarser. Seven bits, because CPUs without VNNI
add pairs of products in 16 bits. Front end, norms, attention weights, the head, and layers whose
input has rare peaks stay float32.
"""

import contextlib
import logging
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import NodeProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from model_export.encoders.ctc_model import CtcModel
from model_export.errors import ExportError
from model_export.export.exporters import onnx_graph, save_graph
from model_export.export.folding import fold_shaped_weights
from model_export.export.smoothing import SMALLEST, Feed, feeds, measure_ranges, smooth
from service.arrays import FloatArray

SCOPES = "pkg.torch.onnx.name_scopes"
LAYERS = "'layers."
# Over the root mean square. In Whisper base one layer gets 140, all others at most 92: at 140 one
# step of 8 bits is half of what values are on average, and that layer alone flips 4 % of labels.
HIGHEST_PEAK = 100.0
INT8_MAX = 127
SMALLEST_STORED = 2**16  # elements
# Products feed sums of float32, so their outputs need no scales.
OPTIONS = {"OpTypesToExcludeOutputQuantization": ["MatMul"]}


def export_int8(model: CtcModel, path: Path, recordings: Sequence[FloatArray]) -> None:
    """Write an ONNX graph that computes in 8 bits where it pays.

    Args:
        model: float32.
        path: of the graph.
        recordings: real speech, each `[samples]`, that sets the ranges; a few minutes.

    Raises:
        ExportError: torch cannot export this model, or there are no recordings.
    """
    if not recordings:
        raise ExportError("int8 needs recordings that set its ranges, and got 0")
    graph = quantise(onnx_graph(model), feeds(recordings))
    store_in_8_bits(graph)
    save_graph(graph, path)


def quantise(graph: onnx.ModelProto, inputs: Iterable[Feed]) -> onnx.ModelProto:
    """Let the linear layers inside the encoder layers compute in 8 bits.

    Args:
        graph: float32, as torch exported it, with its nodes' scopes; folded and smoothed in place.
        inputs: of real speech, that set the ranges; gone through twice.
    """
    fold_shaped_weights(graph)
    layers = linear_layers(graph)
    ranges = measure_ranges(graph, layers, inputs)
    layers = [node for node in layers if ranges[node.input[0]].relative_peak <= HIGHEST_PEAK]
    smooth(graph, layers, ranges)
    return _rounded(graph, layers, inputs) if layers else graph


def store_in_8_bits(graph: onnx.ModelProto) -> None:
    """Round the large weights that stay float32 to 8 bits and a scale for each first index.

    A runtime multiplies them at load; arithmetic stays float32.
    """
    nodes = []
    for weight in list(graph.graph.initializer):
        values = numpy_helper.to_array(weight)
        if values.dtype != np.float32 or values.ndim < 2 or values.size < SMALLEST_STORED:
            continue
        name, axes = weight.name, tuple(range(1, values.ndim))
        scale = np.maximum(np.abs(values).max(axis=axes, keepdims=True), SMALLEST) / INT8_MAX
        stored = np.round(values / scale).astype(np.int8)
        weight.CopyFrom(numpy_helper.from_array(stored, f"{name}.int8"))
        scale_name, steps = f"{name}.scale", f"{name}.steps"
        graph.graph.initializer.append(numpy_helper.from_array(scale, scale_name))
        nodes.append(helper.make_node("Cast", [f"{name}.int8"], [steps], to=onnx.TensorProto.FLOAT))
        nodes.append(helper.make_node("Mul", [steps, scale_name], [name]))
    nodes += graph.graph.node
    del graph.graph.node[:]
    graph.graph.node.extend(nodes)


def linear_layers(graph: onnx.ModelProto) -> list[NodeProto]:
    """Products with a weight inside encoder layers."""
    weights = {weight.name for weight in graph.graph.initializer}
    return [
        node
        for node in graph.graph.node
        if node.op_type == "MatMul" and node.input[1] in weights and _is_in_layer(node)
    ]


def _rounded(
    graph: onnx.ModelProto, layers: Sequence[NodeProto], inputs: Iterable[Feed]
) -> onnx.ModelProto:
    with tempfile.TemporaryDirectory() as folder, _quiet():
        source, out = Path(folder) / "float32.onnx", Path(folder) / "int8.onnx"
        onnx.save(graph, source)
        quantize_static(
            source,
            out,
            _Inputs(inputs),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["MatMul"],
            nodes_to_quantize=[node.name for node in layers],
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            extra_options=OPTIONS,
        )
        return onnx.load(out)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence advice about fusions for CPUs, which the runtime makes at load."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def _is_in_layer(node: NodeProto) -> bool:
    return any(entry.key == SCOPES and LAYERS in entry.value for entry in node.metadata_props)


class _Inputs(CalibrationDataReader):  # type: ignore[misc]
    """What onnxruntime asks for the next input."""

    def __init__(self, inputs: Iterable[Feed]) -> None:
        self._inputs = iter(inputs)

    def get_next(self) -> Feed | None:
        """The next input; None after the last."""
        return next(self._inputs, None)
