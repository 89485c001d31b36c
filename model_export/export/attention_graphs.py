"""The attention decoder as two ONNX graphs, their weights in 4 bits.

One graph makes of an utterance's frames what every token attends to, the other takes tokens and
their past. Weights have a scale for every few inputs; what is multiplied by them is rounded row by
row, so that no batch mate changes a text.
"""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper
from onnxruntime.quantization.matmul_nbits_quantizer import (
    DefaultWeightOnlyQuantConfig,
    MatMulNBitsQuantizer,
)
from torch import Tensor, nn

from model_export.attention_decoder.decoder import AttentionDecoder, Memory, Past
from model_export.export.exporters import BATCH, onnx_program, save_graph
from model_export.export.packing import packed
from model_export.front_ends.log_mel import valid_frames
from service.attention_form import MEMORY_INPUTS, MEMORY_OUTPUTS, STEP_INPUTS, STEP_OUTPUTS

BLOCK = 32  # inputs that share a scale
IN_INT8 = 4  # onnxruntime's accuracy level: activations are rounded to 8 bits
FRAMES = torch.export.Dim("frames", min=1)
TOKENS = torch.export.Dim("tokens", min=1)
LOGITS = STEP_OUTPUTS[0]
BEFORE = torch.export.Dim("before", min=0)


def export_memory(decoder: AttentionDecoder, path: Path) -> None:
    """Write the graph that remembers frames.

    Raises:
        ExportError: torch cannot export it.
    """
    width = decoder.norm.normalized_shape[0]
    example = (torch.zeros(2, 11, width), torch.tensor([11, 7]))
    _write(
        _Remember(decoder),
        example,
        path,
        ports=(MEMORY_INPUTS, MEMORY_OUTPUTS),
        sizes=({0: BATCH, 1: FRAMES}, {0: BATCH}),
    )


def export_step(decoder: AttentionDecoder, path: Path) -> None:
    """Write the graph that gives the next tokens' logits.

    Raises:
        ExportError: torch cannot export it.
    """
    width, layers = decoder.norm.normalized_shape[0], len(decoder.layers)
    tokens = torch.zeros(2, 5, dtype=torch.int64)
    # Each a tensor of its own: torch takes one that comes twice for a single input.
    keys, values = torch.zeros(2, layers, 2, 11, width)
    past = torch.zeros(2, layers, 2, 3, width)
    example = (tokens, keys, values.clone(), torch.tensor([11, 7]), past[0], past[1].clone())
    row, remembered, before = {0: BATCH, 1: TOKENS}, {1: BATCH, 2: FRAMES}, {1: BATCH, 2: BEFORE}
    _write(
        _Step(decoder),
        example,
        path,
        ports=(STEP_INPUTS, STEP_OUTPUTS),
        sizes=(row, remembered, remembered, {0: BATCH}, before, before),
    )


class _Remember(nn.Module):
    def __init__(self, decoder: AttentionDecoder) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(self, frames: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        keys, values, _ = self.decoder.remember(frames, lengths)
        return keys, values


class _Step(nn.Module):
    """The last weights lie as a product wants them, so that they are found and rounded."""

    def __init__(self, decoder: AttentionDecoder) -> None:
        super().__init__()
        self.decoder = decoder
        self.out = nn.Parameter(decoder.tokens.weight.detach().T.contiguous())

    def forward(
        self,
        tokens: Tensor,
        keys: Tensor,
        values: Tensor,
        lengths: Tensor,
        past_keys: Tensor,
        past_values: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        memory = Memory(keys, values, valid_frames(lengths, keys.shape[2]))
        hidden, past = self.decoder.hidden(tokens, memory, Past(past_keys, past_values))
        return hidden @ self.out, past.keys, past.values


def _write(
    module: nn.Module,
    example: tuple[Tensor, ...],
    path: Path,
    *,
    ports: tuple[tuple[str, ...], tuple[str, ...]],
    sizes: tuple[dict[int, Any], ...],
) -> None:
    graph = onnx_program(
        module.eval(),
        example,
        input_names=list(ports[0]),
        output_names=list(ports[1]),
        dynamic_shapes=sizes,
    )
    graph = _in_4_bits(graph)
    _share_embedding(graph)
    with packed(path) as plain:
        save_graph(graph, plain)


def _in_4_bits(graph: onnx.ModelProto) -> onnx.ModelProto:
    config = DefaultWeightOnlyQuantConfig(
        block_size=BLOCK, is_symmetric=True, accuracy_level=IN_INT8
    )
    quantizer = MatMulNBitsQuantizer(graph, algo_config=config)
    logging.disable(logging.INFO)
    try:
        quantizer.process()
    finally:
        logging.disable(logging.NOTSET)
    graph_in_4_bits: onnx.ModelProto = quantizer.model.model
    return graph_in_4_bits


def _share_embedding(graph: onnx.ModelProto) -> None:
    """Let tokens be embedded by the weights of the last product, which are the same.

    A runtime unpacks them at load; only the packed ones are stored.
    """
    last = next((node for node in graph.graph.node if LOGITS in node.output), None)
    weights = {weight.name: weight for weight in graph.graph.initializer}
    gathers = [node for node in graph.graph.node if node.op_type == "Gather"]
    if last is None or last.op_type != "MatMulNBits":
        return
    rows, width = (
        attribute.i for name in "NK" for attribute in last.attribute if attribute.name == name
    )
    gather = next(node for node in gathers if tuple(weights[node.input[0]].dims) == (rows, width))
    graph.graph.initializer.remove(weights[gather.input[0]])
    nodes = _unpacked(graph, last.input[1], last.input[2], gather.input[0], (rows, width))
    nodes += graph.graph.node
    del graph.graph.node[:]
    graph.graph.node.extend(nodes)


def _unpacked(
    graph: onnx.ModelProto, packed_name: str, scales: str, out: str, shape: tuple[int, int]
) -> list[onnx.NodeProto]:
    """Nodes that make float32 `[rows, width]` of bytes of two numbers each, where 8 is zero."""
    rows, width = shape
    constants = {
        "low": np.uint8(15),
        "four": np.uint8(4),
        "zero": np.float32(8),
        "pairs": np.array([rows, width // 2, 1]),
        "blocks": np.array([rows, width // BLOCK, BLOCK]),
        "scales": np.array([rows, width // BLOCK, 1]),
        "table": np.array([rows, width]),
    }
    for name, value in constants.items():
        array = numpy_helper.from_array(np.asarray(value), f"embedding.{name}")
        graph.graph.initializer.append(array)

    def node(kind: str, inputs: list[str], output: str, **attributes: Any) -> onnx.NodeProto:
        return helper.make_node(kind, inputs, [output], **attributes)

    return [
        node("BitwiseAnd", [packed_name, "embedding.low"], "embedding.first"),
        node("BitShift", [packed_name, "embedding.four"], "embedding.second", direction="RIGHT"),
        node("Reshape", ["embedding.first", "embedding.pairs"], "embedding.firsts"),
        node("Reshape", ["embedding.second", "embedding.pairs"], "embedding.seconds"),
        node("Concat", ["embedding.firsts", "embedding.seconds"], "embedding.both", axis=2),
        node("Reshape", ["embedding.both", "embedding.blocks"], "embedding.blocked"),
        node("Cast", ["embedding.blocked"], "embedding.steps", to=onnx.TensorProto.FLOAT),
        node("Sub", ["embedding.steps", "embedding.zero"], "embedding.centred"),
        node("Reshape", [scales, "embedding.scales"], "embedding.scale"),
        node("Mul", ["embedding.centred", "embedding.scale"], "embedding.scaled"),
        node("Reshape", ["embedding.scaled", "embedding.table"], out),
    ]
