import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper

from model_export.export.folding import fold_shaped_weights


def make_graph() -> onnx.ModelProto:
    """Products with the two halves of a transposed weight, and with the whole of it."""
    weight = np.arange(24, dtype=np.float32).reshape(6, 4)
    nodes = [
        helper.make_node("Transpose", ["weight"], ["turned"], perm=[1, 0]),
        helper.make_node("Split", ["turned", "sizes"], ["left", "right"], axis=1),
        helper.make_node("MatMul", ["x", "left"], ["one"]),
        helper.make_node("MatMul", ["x", "right"], ["other"]),
        helper.make_node("Transpose", ["x"], ["x_turned"], perm=[1, 0]),
        helper.make_node("MatMul", ["weight", "x_turned"], ["whole"]),
    ]
    outputs = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["m", "n"])
        for name in ("one", "other", "whole")
    ]
    graph = helper.make_graph(
        nodes,
        "halves",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["rows", 4])],
        outputs,
        [
            numpy_helper.from_array(weight, "weight"),
            numpy_helper.from_array(np.array([3, 3]), "sizes"),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def run(graph: onnx.ModelProto, x: np.ndarray) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(
        graph.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(None, {"x": x})


def test_what_is_done_to_weights_alone_is_done_in_advance() -> None:
    graph = make_graph()
    x = np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32)
    expected = run(graph, x)
    fold_shaped_weights(graph)
    onnx.checker.check_model(graph)
    assert [node.op_type for node in graph.graph.node] == [
        "MatMul",
        "MatMul",
        "Transpose",
        "MatMul",
    ]
    assert {weight.name for weight in graph.graph.initializer} == {"left", "right", "weight"}
    for found, wanted in zip(run(graph, x), expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-6)
