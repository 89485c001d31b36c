"""A bundle whose model hears levels: nothing about it is left to chance.

One frame is 20 ms, and its mean level says its token, so a waveform can be made that speaks any
text of small letters, and the transcript is known. The streaming graph hears changes of the level,
and carries the level itself from chunk to chunk: without its state it would understand nothing.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from service.arrays import FloatArray
from service.bundle import sha256_of

RATE_HZ = 16_000
HOP = 320
TOKENS = ("<pad>", "|", *"abcdefghijklmnopqrstuvwxyz'")
LEVELS = 64  # token k is the level k / LEVELS
FRAMES_PER_LETTER = 3
CHUNK_FRAMES, LEFT_CONTEXT, LOOKAHEAD = 8, 160, 80


def speak(text: str) -> FloatArray:
    """A waveform `[samples]` at 16 kHz in which the model hears the text."""
    return np.repeat(np.array(_frames(text), np.float32) / LEVELS, HOP)


def speak_to_graph(text: str) -> FloatArray:
    """A waveform `[samples]` at 16 kHz in which the streaming graph hears the text."""
    changes = np.diff(np.array([0, *_frames(text), 0], np.float32))
    return np.repeat(changes / LEVELS, HOP)


def _frames(text: str) -> list[int]:
    frames = [0]
    for letter in text.replace(" ", "|"):
        frames += [TOKENS.index(letter)] * FRAMES_PER_LETTER + [0]
    return frames


def make_bundle(
    folder: Path, longest_single_pass_s: float | None = None, **changes: object
) -> Path:
    """Write the bundle into a new folder, with changes of its manifest, such as its name."""
    folder.mkdir(parents=True)
    onnx.save(graph_of_levels(), folder / "model.onnx")
    golden = speak("a cab")
    np.savez(folder / "golden.npz", waveform=golden, logits=_logits(golden))
    manifest = _manifest(folder) | {"longest_single_pass_s": longest_single_pass_s} | changes
    (folder / "bundle.json").write_text(json.dumps(manifest))
    return folder


def make_streaming_bundle(folder: Path, **changes: object) -> Path:
    """Write a bundle with a streaming graph into a new folder; changes as `make_bundle` takes."""
    make_bundle(folder, **changes)
    onnx.save(_streaming_graph(), folder / "streaming.onnx")
    manifest = json.loads((folder / "bundle.json").read_text())
    manifest["files"]["streaming.onnx"] = sha256_of(folder / "streaming.onnx")
    manifest["streaming"] = {
        "variants": [{"file": "streaming.onnx", "precision": "float32"}],
        "chunk_frames": CHUNK_FRAMES,
        "left_context_samples": LEFT_CONTEXT,
        "lookahead_samples": LOOKAHEAD,
        "states": [{"name": "level", "shape": [1], "dtype": "float32"}],
    }
    (folder / "bundle.json").write_text(json.dumps(manifest))
    return folder


def _logits(waveform: FloatArray) -> FloatArray:
    tokens = np.arange(len(TOKENS), dtype=np.float32)
    levels = waveform.reshape(-1, HOP).mean(axis=1) * LEVELS
    return (2 * (2 * levels[:, np.newaxis] * tokens - tokens**2)).astype(np.float32)


def graph_of_levels(with_frames: bool = False) -> onnx.ModelProto:
    """The model; if asked, with the levels themselves behind the logits."""
    tokens = np.arange(len(TOKENS), dtype=np.float32)
    nodes = [
        helper.make_node("Unsqueeze", ["waveforms", "channel"], ["channels"]),
        helper.make_node("Conv", ["channels", "mean"], ["levels"], strides=[HOP]),
        helper.make_node("Transpose", ["levels"], ["columns"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["columns", "slope"], ["slopes"]),
        helper.make_node("Add", ["slopes", "offset"], ["sums" if with_frames else "logits"]),
        helper.make_node("Div", ["lengths", "hop"], ["frame_lengths"]),
    ]
    if with_frames:
        nodes.append(helper.make_node("Concat", ["sums", "columns"], ["logits"], axis=2))
    constants = {
        "channel": np.array([1]),
        "mean": np.full((1, 1, HOP), LEVELS / HOP, np.float32),
        "slope": 4 * tokens[np.newaxis],
        "offset": -2 * tokens**2,
        "hop": np.array(HOP),
    }
    inputs = [("waveforms", TensorProto.FLOAT, ["b", "s"]), ("lengths", TensorProto.INT64, ["b"])]
    outputs = [
        ("logits", TensorProto.FLOAT, ["b", "f", len(TOKENS) + with_frames]),
        ("frame_lengths", TensorProto.INT64, ["b"]),
    ]
    return model_of("levels", nodes, constants, inputs, outputs)


def _streaming_graph() -> onnx.ModelProto:
    tokens = np.arange(len(TOKENS), dtype=np.float32)
    end = LEFT_CONTEXT + CHUNK_FRAMES * HOP
    nodes = [
        helper.make_node("Slice", ["waveforms", "left", "end", "time"], ["chunk"]),
        helper.make_node("Unsqueeze", ["chunk", "time"], ["channels"]),
        helper.make_node("Conv", ["channels", "mean"], ["changes"], strides=[HOP]),
        helper.make_node("Squeeze", ["changes", "time"], ["steps"]),
        helper.make_node("CumSum", ["steps", "axis"], ["sums"]),
        helper.make_node("Add", ["sums", "state_level"], ["levels"]),
        helper.make_node("Slice", ["levels", "last", "far", "time"], ["next_state_level"]),
        helper.make_node("Unsqueeze", ["levels", "frames"], ["columns"]),
        helper.make_node("MatMul", ["columns", "slope"], ["slopes"]),
        helper.make_node("Add", ["slopes", "offset"], ["logits"]),
        helper.make_node("Sub", ["lengths", "before"], ["valid"]),
        helper.make_node("Div", ["valid", "hop"], ["whole"]),
        helper.make_node("Min", ["whole", "most"], ["frame_lengths"]),
    ]
    constants = {
        "left": np.array([LEFT_CONTEXT]),
        "end": np.array([end]),
        "time": np.array([1]),
        "frames": np.array([2]),
        "axis": np.array(1),
        "last": np.array([-1]),
        "far": np.array([2**31]),
        "mean": np.full((1, 1, HOP), LEVELS / HOP, np.float32),
        "slope": 4 * tokens[np.newaxis],
        "offset": -2 * tokens**2,
        "before": np.array(LEFT_CONTEXT - HOP + 1),
        "hop": np.array(HOP),
        "most": np.array(CHUNK_FRAMES),
    }
    inputs = [
        ("waveforms", TensorProto.FLOAT, ["b", LEFT_CONTEXT + CHUNK_FRAMES * HOP + LOOKAHEAD]),
        ("lengths", TensorProto.INT64, ["b"]),
        ("state_level", TensorProto.FLOAT, ["b", 1]),
    ]
    outputs = [
        ("logits", TensorProto.FLOAT, ["b", CHUNK_FRAMES, len(TOKENS)]),
        ("frame_lengths", TensorProto.INT64, ["b"]),
        ("next_state_level", TensorProto.FLOAT, ["b", 1]),
    ]
    return model_of("changes", nodes, constants, inputs, outputs)


def model_of(
    name: str,
    nodes: list[onnx.NodeProto],
    constants: dict[str, Any],
    inputs: list[Any],
    outputs: list[Any],
) -> onnx.ModelProto:
    """A graph of nodes, constants by their names, and ports `(name, type, shape)`."""
    graph = helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info(*port) for port in inputs],
        [helper.make_tensor_value_info(*port) for port in outputs],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def _manifest(folder: Path) -> dict[str, object]:
    return {
        "schema_version": 1,
        "name": "tiny",
        "languages": ["en"],
        "sample_rate_hz": RATE_HZ,
        "samples_per_frame": HOP,
        "receptive_field_samples": HOP,
        "vocabulary": {"tokens": TOKENS, "blank_id": 0, "word_delimiter": "|"},
        "text_normalisation": {},
        "input_convention": "none",
        "layers": [],
        "variants": [
            {
                "file": "model.onnx",
                "runtime": "onnxruntime",
                "precision": "float32",
                "batch_invariant": True,
            }
        ],
        "files": {path.name: sha256_of(path) for path in folder.iterdir()},
        "provenance": {
            "base": "none",
            "base_licence": "none",
            "data": [],
            "weights_licence": "none",
            "created_with": "tests",
        },
    }
