"""A bundle whose model hears levels: nothing about it is left to chance.

One frame is 20 ms, and its mean level says its token, so a waveform can be made that speaks any
text of small letters, and the transcript is known.
"""

import json
from pathlib import Path

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


def speak(text: str) -> FloatArray:
    """A waveform `[samples]` at 16 kHz in which the model hears the text."""
    frames = [0]
    for letter in text.replace(" ", "|"):
        frames += [TOKENS.index(letter)] * FRAMES_PER_LETTER + [0]
    return np.repeat(np.array(frames, np.float32) / LEVELS, HOP)


def make_bundle(folder: Path, longest_single_pass_s: float | None = None) -> Path:
    """Write the bundle into a new folder."""
    folder.mkdir()
    onnx.save(_graph(), folder / "model.onnx")
    golden = speak("a cab")
    np.savez(folder / "golden.npz", waveform=golden, logits=_logits(golden))
    manifest = _manifest(folder) | {"longest_single_pass_s": longest_single_pass_s}
    (folder / "bundle.json").write_text(json.dumps(manifest))
    return folder


def _logits(waveform: FloatArray) -> FloatArray:
    tokens = np.arange(len(TOKENS), dtype=np.float32)
    levels = waveform.reshape(-1, HOP).mean(axis=1) * LEVELS
    return (2 * (2 * levels[:, np.newaxis] * tokens - tokens**2)).astype(np.float32)


def _graph() -> onnx.ModelProto:
    tokens = np.arange(len(TOKENS), dtype=np.float32)
    nodes = [
        helper.make_node("Unsqueeze", ["waveforms", "channel"], ["channels"]),
        helper.make_node("Conv", ["channels", "mean"], ["levels"], strides=[HOP]),
        helper.make_node("Transpose", ["levels"], ["columns"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["columns", "slope"], ["slopes"]),
        helper.make_node("Add", ["slopes", "offset"], ["logits"]),
        helper.make_node("Div", ["lengths", "hop"], ["frame_lengths"]),
    ]
    constants = {
        "channel": np.array([1]),
        "mean": np.full((1, 1, HOP), LEVELS / HOP, np.float32),
        "slope": 4 * tokens[np.newaxis],
        "offset": -2 * tokens**2,
        "hop": np.array(HOP),
    }
    inputs = [("waveforms", TensorProto.FLOAT, ["b", "s"]), ("lengths", TensorProto.INT64, ["b"])]
    outputs = [
        ("logits", TensorProto.FLOAT, ["b", "f", len(TOKENS)]),
        ("frame_lengths", TensorProto.INT64, ["b"]),
    ]
    graph = helper.make_graph(
        nodes,
        "levels",
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
