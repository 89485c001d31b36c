from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import GraphProto, ModelProto, numpy_helper

from model_export.encoders.families import build_model
from model_export.export.exporters import export_onnx, export_torchscript, round_weights
from model_export.front_ends.piecewise import Piecewise

GROUP_NORM = {"do_stable_layer_norm": False, "feat_extract_norm": "group", "conv_bias": False}


@pytest.fixture(scope="module")
def graph(
    make_wav2vec2_base: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> ModelProto:
    """A model whose convolutions are large enough to be compacted, as a graph."""
    model = build_model(
        make_wav2vec2_base(**GROUP_NORM, conv_dim=(32,) * 7, num_hidden_layers=1), 5
    )
    round_weights(model)
    loops = [name for name, part in model.named_modules() if isinstance(part, Piecewise)]
    path = tmp_path_factory.mktemp("exported") / "model.onnx"
    export_onnx(model, path)
    kept = [name for name, part in model.named_modules() if isinstance(part, Piecewise)]
    assert kept == loops, "the model is not what it was before"
    return onnx.load(path)


def bodies_of(graph: ModelProto) -> list[GraphProto]:
    scans = [node for node in graph.graph.node if node.op_type == "Scan"]
    return [one.g for node in scans for one in node.attribute if one.name == "body"]


def test_loops_become_scans(graph: ModelProto) -> None:
    convolutions = [[n.op_type for n in body.node].count("Conv") for body in bodies_of(graph)]
    assert sorted(convolutions) == [0, 7]
    assert [domain.domain for domain in graph.opset_import] == [""]


def test_a_weight_inside_a_loop_is_stored_once_and_as_float16(graph: ModelProto) -> None:
    assert not any(body.initializer for body in bodies_of(graph))
    stored = [(weight.name, numpy_helper.to_array(weight)) for weight in graph.graph.initializer]
    assert len({name for name, _ in stored}) == len(stored)
    kernels = [array for name, array in stored if "rest" in name and array.ndim == 3]
    assert [array.dtype for array in kernels] == 6 * [np.dtype(np.float16)]


def test_nothing_tells_where_it_was_made(graph: ModelProto) -> None:
    for body in bodies_of(graph):
        assert not any(node.doc_string or node.metadata_props for node in body.node)


def test_a_traced_model_is_left_as_it_was(wav2vec2_base: Path, tmp_path: Path) -> None:
    model = build_model(wav2vec2_base, 5)
    before = {name: id(part) for name, part in model.named_modules()}
    export_torchscript(model, tmp_path / "model.ts")
    assert {name: id(part) for name, part in model.named_modules()} == before
