"""The bundle of levels with an attention decoder, which spells some letters otherwise than CTC."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper
from tiny_bundle import FRAMES_PER_LETTER, TOKENS, graph_of_levels, make_bundle, model_of

from service.attention_form import (
    MEMORY_INPUTS,
    MEMORY_OUTPUTS,
    STEP_INPUTS,
    STEP_OUTPUTS,
    AttentionDecoder,
)
from service.bundle import MANIFEST_FILE, sha256_of

FORM = AttentionDecoder(
    memory_file="memory.onnx",
    step_file="step.onnx",
    tokens_file="tokens.json",
    width=1,
    layers=1,
    longest_tokens=200,
    least_agreement=-1e6,
)
FRAMES = TensorProto.FLOAT, [1, "b", "f", 1]
PAST = TensorProto.FLOAT, [1, "b", "p", 1]
LENGTHS = TensorProto.INT64, ["b"]
PERIOD = FRAMES_PER_LETTER + 1


def make_attention_bundle(
    folder: Path, spelling: Mapping[str, str], least_agreement: float = FORM.least_agreement
) -> Path:
    """Write the bundle into a new folder; what is spelled otherwise, letter by letter, is given."""
    make_bundle(folder)
    onnx.save(graph_of_levels(with_frames=True), folder / "model.onnx")
    onnx.save(_memory_graph(), folder / FORM.memory_file)
    onnx.save(_step_graph(), folder / FORM.step_file)
    written = ["", " ", *(spelling.get(letter, letter) for letter in TOKENS[2:]), "", ""]
    (folder / FORM.tokens_file).write_text(json.dumps(written))
    manifest = json.loads((folder / MANIFEST_FILE).read_text())
    form = FORM.model_copy(update={"least_agreement": least_agreement})
    manifest["attention_decoder"] = form.model_dump()
    names = ("model.onnx", *FORM.files)
    manifest["files"] |= {name: sha256_of(folder / name) for name in names}
    (folder / MANIFEST_FILE).write_text(json.dumps(manifest))
    return folder


def _memory_graph() -> onnx.ModelProto:
    nodes = [helper.make_node("Unsqueeze", ["frames", "zero"], [name]) for name in MEMORY_OUTPUTS]
    inputs = [("frames", TensorProto.FLOAT, ["b", "f", 1]), ("lengths", *LENGTHS)]
    outputs = [(name, *FRAMES) for name in MEMORY_OUTPUTS]
    assert [name for name, *_ in inputs] == list(MEMORY_INPUTS)
    return model_of("memory", nodes, {"zero": np.array([0])}, inputs, outputs)


def _step_graph() -> onnx.ModelProto:
    """Of the frames' levels, the one in the middle of the next letter; behind the last, the end."""
    end_id = len(TOKENS) + 1
    ids = np.arange(end_id + 1, dtype=np.float32)
    nodes = [
        helper.make_node("Shape", ["past_keys"], ["before"], start=2, end=3),
        helper.make_node("Mul", ["before", "period"], ["passed"]),
        helper.make_node("Add", ["passed", "middle"], ["wanted"]),
        helper.make_node("Shape", ["keys"], ["frames"], start=2, end=3),
        helper.make_node("Min", ["wanted", "frames"], ["place"]),
        helper.make_node("Concat", ["keys", "end"], ["ended"], axis=2),
        helper.make_node("Gather", ["ended", "place"], ["level"], axis=2),
        helper.make_node("Squeeze", ["level", "first"], ["levels"]),
        helper.make_node("MatMul", ["levels", "slope"], ["slopes"]),
        helper.make_node("Add", ["slopes", "offset"], ["logits"]),
        helper.make_node("Concat", ["past_keys", "level"], ["next_keys"], axis=2),
        helper.make_node("Concat", ["past_values", "level"], ["next_values"], axis=2),
    ]
    constants = {
        "period": np.array([PERIOD]),
        "middle": np.array([PERIOD // 2]),
        "end": np.full((1, 1, 1, 1), end_id, np.float32),
        "first": np.array([0]),
        "slope": 4 * ids[np.newaxis],
        "offset": -2 * ids**2,
    }
    shapes = [(TensorProto.INT64, ["b", "u"]), FRAMES, FRAMES, LENGTHS, PAST, PAST]
    inputs = [(name, *shape) for name, shape in zip(STEP_INPUTS, shapes, strict=True)]
    logits = TensorProto.FLOAT, ["b", "u", len(ids)]
    outputs = [
        (name, *shape) for name, shape in zip(STEP_OUTPUTS, [logits, PAST, PAST], strict=True)
    ]
    return model_of("step", nodes, constants, inputs, outputs)
