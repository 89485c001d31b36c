"""Computing in advance what a graph does to its weights alone, so that what follows can be rounded.

A mixing block applies its combiner part by part: the graph splits one matrix into three.
"""

import onnx
from onnx import NodeProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

SHAPING = {"Split", "Transpose"}


def fold_shaped_weights(graph: onnx.ModelProto) -> None:
    """Replace nodes that split or transpose weights by their results.

    Args:
        graph: changed in place; its nodes must be sorted, as torch exports them.
    """
    weights = {weight.name: weight for weight in graph.graph.initializer}
    kept = []
    for node in graph.graph.node:
        if node.op_type in SHAPING and all(name in weights for name in node.input):
            for result in _results(node, weights, graph):
                weights[result.name] = result
        else:
            kept.append(node)
    used = {name for node in kept for name in _inputs(node)}
    del graph.graph.node[:], graph.graph.initializer[:]
    graph.graph.node.extend(kept)
    graph.graph.initializer.extend(one for name, one in weights.items() if name in used)


def _results(
    node: NodeProto, weights: dict[str, onnx.TensorProto], graph: onnx.ModelProto
) -> list[onnx.TensorProto]:
    inputs = {name: numpy_helper.to_array(weights[name]) for name in node.input}
    ports = [helper.make_tensor_value_info(name, weights[name].data_type, None) for name in inputs]
    results = [helper.make_empty_tensor_value_info(name) for name in node.output]
    single = helper.make_graph([node], "folded", ports, results)
    model = helper.make_model(single, opset_imports=graph.opset_import)
    found = ReferenceEvaluator(model).run(None, inputs)
    return [
        numpy_helper.from_array(values, name)
        for name, values in zip(node.output, found, strict=True)
    ]


def _inputs(node: NodeProto) -> list[str]:
    """What a node reads, and what the graphs inside it do."""
    graphs = [attribute.g for attribute in node.attribute if attribute.HasField("g")]
    inner = [name for graph in graphs for one in graph.node for name in _inputs(one)]
    return [*node.input, *inner]
