from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import numpy_helper

from model_export.encoders.ctc_model import CtcModel
from model_export.encoders.families import build_model
from model_export.errors import ExportError
from model_export.export import int8
from model_export.export.int8 import export_int8, store_in_8_bits
from model_export.mixing.surgery import replace_attention

LABELS = 5
LAYERS = 2


@pytest.fixture(scope="module")
def model(make_wav2vec2_base: Callable[..., Path]) -> CtcModel:
    model = build_model(make_wav2vec2_base(num_hidden_layers=LAYERS), LABELS).eval()
    replace_attention(model, layers=(1,), mixer="wsm", window_frames=2)
    return model


@pytest.fixture(scope="module")
def recordings(noise_and_tones) -> list[np.ndarray]:
    return [noise_and_tones(samples) for samples in (9000, 12000, 16000)]


@pytest.fixture(scope="module")
def exported(model, recordings, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("int8") / "model.int8.onnx"
    export_int8(model, path, recordings)
    return path


def infer(path: Path, waveforms: np.ndarray, lengths: list[int]) -> np.ndarray:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(None, {"waveforms": waveforms, "lengths": np.array(lengths)})[0]


def test_logits_are_near_those_of_float32(model, recordings, exported) -> None:
    for recording in recordings:
        with torch.inference_mode():
            expected, _ = model(torch.from_numpy(recording)[None], torch.tensor([len(recording)]))
        found = infer(exported, recording[None], [len(recording)])
        error = np.square(found - expected.numpy()).mean()
        assert 0 < error < 0.01 * np.square(expected.numpy()).mean()


def test_a_row_does_not_depend_on_its_batch_mates(recordings, exported) -> None:
    short, _, long = recordings
    rows = np.zeros((2, len(long)), np.float32)
    rows[0, : len(short)] = short
    rows[1] = 0.5 * long
    alone = infer(exported, short[None], [len(short)])[0]
    together = infer(exported, rows, [len(short), len(long)])[0, : len(alone)]
    np.testing.assert_allclose(together, alone, atol=5e-3)


def test_products_of_encoder_layers_alone_are_rounded(exported) -> None:
    graph = onnx.load(exported).graph
    made = {name: node for node in graph.node for name in node.output}
    rounded = [
        node
        for node in graph.node
        if node.op_type == "MatMul"
        and all(made[name].op_type == "DequantizeLinear" for name in node.input if name in made)
        and made.get(node.input[0]) is not None
        and made[node.input[0]].op_type == "DequantizeLinear"
    ]
    assert len(rounded) >= LAYERS * 2 + 2
    stored = {weight.name: numpy_helper.to_array(weight) for weight in graph.initializer}
    levels = [stored[made[node.input[1]].input[0]] for node in rounded]
    assert all(level.dtype == np.int8 and np.abs(level).max() <= 64 for level in levels)
    assert not any(node.metadata_props for node in graph.node)


def test_a_layer_whose_input_has_rare_peaks_stays_float32(
    model, recordings, exported, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(int8, "HIGHEST_PEAK", 1.0)
    export_int8(model, tmp_path / "model.onnx", recordings)
    kinds = [node.op_type for node in onnx.load(tmp_path / "model.onnx").graph.node]
    assert "QuantizeLinear" in [node.op_type for node in onnx.load(exported).graph.node]
    assert "QuantizeLinear" not in kinds


def test_without_recordings_there_are_no_ranges(model, tmp_path) -> None:
    with pytest.raises(ExportError, match="and got 0"):
        export_int8(model, tmp_path / "model.onnx", [])


def test_what_stays_float32_is_stored_in_8_bits(monkeypatch) -> None:
    monkeypatch.setattr(int8, "SMALLEST_STORED", 10)
    weights = np.array([[0.0] * 5, [1.0, -2.0, 0.5, 0.25, 4.0]], np.float32)
    graph = onnx.parser.parse_model(
        '<ir_version: 10, opset_import: ["" : 20]>'
        "g (float[1,2] x) => (float[1,5] y) { y = MatMul(x, w) }"
    )
    graph.graph.initializer.append(numpy_helper.from_array(weights, "w"))
    store_in_8_bits(graph)
    onnx.checker.check_model(graph)
    assert [numpy_helper.to_array(one).dtype for one in graph.graph.initializer] == [
        np.int8,
        np.float32,
    ]
    session = onnxruntime.InferenceSession(
        graph.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    (found,) = session.run(None, {"x": np.array([[1.0, 1.0]], np.float32)})
    np.testing.assert_allclose(found, weights.sum(axis=0, keepdims=True), atol=4.0 / 127)
