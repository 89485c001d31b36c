"""The shipped bundle in float32: inputs unrounded, weights with the values of their steps."""

import gzip
import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper

from service.arrays import FloatArray
from service.bundle import GOLDEN_FILE, MANIFEST_FILE, load_bundle, sha256_of
from service.config import PACKAGED_BUNDLE

FILE = "model.onnx"


def write_float_bundle(folder: Path) -> Path:
    """Write it into a new folder, without a language model; batches change none of its texts."""
    folder.mkdir()
    shipped = load_bundle(PACKAGED_BUNDLE)
    packed = (shipped.folder / shipped.manifest.variants[0].file).read_bytes()
    graph = onnx.load_from_string(gzip.decompress(packed))
    _unround(graph.graph)
    onnx.save(graph, folder / FILE)
    waveform = shipped.golden("int8").waveform
    np.savez(folder / GOLDEN_FILE, waveform=waveform, logits=_logits(folder / FILE, waveform))
    manifest = json.loads((shipped.folder / MANIFEST_FILE).read_text()) | {
        "language_model": None,
        "files": {name: sha256_of(folder / name) for name in (FILE, GOLDEN_FILE)},
    }
    (variant,) = manifest["variants"]
    variant |= {"file": FILE, "precision": "float32", "batch_invariant": True}
    (folder / MANIFEST_FILE).write_text(json.dumps(manifest))
    return folder


def _unround(graph: onnx.GraphProto) -> None:
    """Let inputs be as they were before they were rounded, and weights be floats."""
    weights = {weight.name: weight for weight in graph.initializer}
    rounded = {node.output[0]: node for node in graph.node if node.op_type == "QuantizeLinear"}
    before, kept = {}, []
    for node in graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0] in rounded:
            before[node.output[0]] = rounded[node.input[0]].input[0]
        elif node.op_type == "DequantizeLinear":
            steps, scales = (numpy_helper.to_array(weights[name]) for name in node.input[:2])
            values = steps.astype(np.float32) * scales
            graph.initializer.append(numpy_helper.from_array(values, node.output[0]))
        elif node.op_type != "QuantizeLinear":
            kept.append(node)
    for node in kept:
        for place, name in enumerate(node.input):
            node.input[place] = before.get(name, name)
    del graph.node[:]
    graph.node.extend(kept)
    used = {name for node in kept for name in node.input}
    used_weights = [weight for weight in graph.initializer if weight.name in used]
    del graph.initializer[:]
    graph.initializer.extend(used_weights)


def _logits(path: Path, waveform: FloatArray) -> FloatArray:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    feed = {"waveforms": waveform[np.newaxis], "lengths": np.array([len(waveform)])}
    logits: FloatArray = session.run(None, feed)[0][0]
    return logits
