import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from model_export.export.smoothing import Range, feeds, measure_ranges, smooth

CHANNELS = 4
LOUD = 2


@pytest.fixture
def graph() -> onnx.ModelProto:
    """A norm whose gain makes one channel loud, and two linear layers."""
    generator = np.random.default_rng(0)
    gain = np.ones(CHANNELS, np.float32)
    gain[LOUD] = 50.0
    arrays = {"gain": gain, "shift": np.full(CHANNELS, 0.1, np.float32)}
    for name in ("left", "right"):
        arrays[name] = generator.standard_normal((CHANNELS, 3)).astype(np.float32)
    nodes = [
        helper.make_node("Reshape", ["waveforms", "shape"], ["frames"]),
        helper.make_node("LayerNormalization", ["frames", "gain", "shift"], ["normed"], name="ln"),
        helper.make_node("MatMul", ["normed", "left"], ["l"], name="left"),
        helper.make_node("MatMul", ["normed", "right"], ["r"], name="right"),
        helper.make_node("Add", ["l", "r"], ["logits"]),
    ]
    shape = np.array([1, -1, CHANNELS], np.int64)
    inputs = [
        helper.make_tensor_value_info("waveforms", TensorProto.FLOAT, [1, "samples"]),
        helper.make_tensor_value_info("lengths", TensorProto.INT64, [1]),
    ]
    weights = [numpy_helper.from_array(array, name) for name, array in arrays.items()]
    weights.append(numpy_helper.from_array(shape, "shape"))
    out = helper.make_tensor_value_info("logits", TensorProto.FLOAT, None)
    return helper.make_model(
        helper.make_graph(nodes, "norm", inputs, [out], weights),
        opset_imports=[helper.make_opsetid("", 20)],
        ir_version=10,
    )


def recording() -> np.ndarray:
    return np.random.default_rng(1).standard_normal(400).astype(np.float32)


def layers_of(graph: onnx.ModelProto) -> list[onnx.NodeProto]:
    return [node for node in graph.graph.node if node.op_type == "MatMul"]


def run(graph: onnx.ModelProto) -> np.ndarray:
    session = onnxruntime.InferenceSession(
        graph.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    feed = {"waveforms": recording()[None], "lengths": np.array([400])}
    return session.run(None, {name.name: feed[name.name] for name in session.get_inputs()})[0]


def test_the_loud_channel_is_measured(graph: onnx.ModelProto) -> None:
    ranges = measure_ranges(graph, layers_of(graph), feeds([recording(), 2 * recording()]))
    assert set(ranges) == {"normed"}
    assert int(ranges["normed"].peaks.argmax()) == LOUD
    assert ranges["normed"].peaks[LOUD] > 20 * np.delete(ranges["normed"].peaks, LOUD).max()


def test_smoothing_evens_channels_and_changes_nothing(graph: onnx.ModelProto) -> None:
    before = run(graph)
    ranges = measure_ranges(graph, layers_of(graph), feeds([recording()]))
    smooth(graph, layers_of(graph), ranges)
    np.testing.assert_allclose(run(graph), before, rtol=1e-4, atol=1e-3)
    after = measure_ranges(graph, layers_of(graph), feeds([recording()]))["normed"].peaks
    uneven = ranges["normed"].peaks.max() / ranges["normed"].peaks.min()
    assert after.max() / after.min() < uneven / 3


def test_a_norm_that_feeds_something_else_is_left_alone(graph: onnx.ModelProto) -> None:
    graph.graph.node.append(helper.make_node("Relu", ["normed"], ["other"]))
    ranges = measure_ranges(graph, layers_of(graph), feeds([recording()]))
    before = graph.SerializeToString()
    smooth(graph, layers_of(graph), ranges)
    assert graph.SerializeToString() == before


def test_a_peak_is_relative_to_what_values_are_on_average() -> None:
    assert Range(np.array([3.0, 8.0], np.float32), 4.0).relative_peak == pytest.approx(4.0)
    assert np.isfinite(Range(np.zeros(2, np.float32), 0.0).relative_peak)
