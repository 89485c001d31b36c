"""Smoothing: loud channels shrink, and the weights that meet them grow, before both are rounded.

A scale serves a whole tensor of 8 bits, so one loud channel makes all others coarse. Where a
LayerNorm precedes a linear layer, its gain can shrink a channel and cost nothing (SmoothQuant; Xiao
et al., 2023, eq. 3 and 4).
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
import onnxruntime
from onnx import NodeProto, helper, numpy_helper

from service.arrays import FloatArray
from service.backends.base import INPUTS

SMOOTHING = 0.5  # how much of the channels' differences weights take over
SMALLEST = 1e-5

Feed = dict[str, np.ndarray]  # inputs of a graph by name


@dataclass(frozen=True)
class Range:
    """What recordings gave a tensor `[..., channels]`.

    Attributes:
        peaks: largest magnitude of each channel.
        mean_square: of all values.
    """

    peaks: FloatArray
    mean_square: float

    @property
    def relative_peak(self) -> float:
        """Largest magnitude over the root mean square."""
        return float(self.peaks.max() / max(self.mean_square, SMALLEST**2) ** 0.5)


def measure_ranges(
    graph: onnx.ModelProto, layers: Sequence[NodeProto], inputs: Iterable[Feed]
) -> dict[str, Range]:
    """Run inputs, and note how large those of layers become."""
    names = sorted({node.input[0] for node in layers})
    watched = onnx.ModelProto()
    watched.CopyFrom(graph)
    watched.graph.output.extend(
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in names
    )
    session = onnxruntime.InferenceSession(
        watched.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    found: dict[str, list[Range]] = defaultdict(list)
    for feed in inputs:
        for name, values in zip(names, session.run(names, feed), strict=True):
            channels = values.reshape(-1, values.shape[-1])
            found[name].append(Range(np.abs(channels).max(axis=0), float((channels**2).mean())))
    return {name: _union(ranges) for name, ranges in found.items()}


def smooth(graph: onnx.ModelProto, layers: Sequence[NodeProto], ranges: dict[str, Range]) -> None:
    """Shrink channels with large values, where a LayerNorm can do it and feeds nothing else."""
    weights = {weight.name: weight for weight in graph.graph.initializer}
    readers: dict[str, int] = defaultdict(int)
    for name in (name for node in graph.graph.node for name in node.input):
        readers[name] += 1
    for norm in graph.graph.node:
        fed = [node for node in layers if node.input[0] == norm.output[0]]
        if norm.op_type != "LayerNormalization" or not fed or len(fed) < readers[norm.output[0]]:
            continue
        factors = _smoothing(
            ranges[norm.output[0]].peaks,
            [numpy_helper.to_array(weights[node.input[1]]) for node in fed],
        )
        for name in norm.input[1:]:
            _multiply(weights[name], 1.0 / factors)
        for node in fed:
            _multiply(weights[node.input[1]], factors[:, None])


def feeds(recordings: Sequence[FloatArray]) -> list[Feed]:
    """What a session takes, a recording at a time."""
    pairs = ((one[np.newaxis], np.array([len(one)], dtype=np.int64)) for one in recordings)
    return [dict(zip(INPUTS, pair, strict=True)) for pair in pairs]


def _smoothing(peaks: FloatArray, weights: Sequence[FloatArray]) -> FloatArray:
    """Factors `[channels]` that even channels out between inputs and weights `[channels, out]`."""
    largest_weights = np.max([np.abs(weight).max(axis=1) for weight in weights], axis=0)
    logs = SMOOTHING * np.log(np.maximum(peaks, SMALLEST))
    logs -= (1.0 - SMOOTHING) * np.log(np.maximum(largest_weights, SMALLEST))
    factors: FloatArray = np.exp(logs - logs.mean()).astype(np.float32)
    return factors


def _multiply(weight: onnx.TensorProto, factors: FloatArray) -> None:
    product = (numpy_helper.to_array(weight) * factors).astype(np.float32)
    weight.CopyFrom(numpy_helper.from_array(product, weight.name))


def _union(ranges: Sequence[Range]) -> Range:
    peaks = np.max([one.peaks for one in ranges], axis=0)
    return Range(peaks, float(np.mean([one.mean_square for one in ranges])))
