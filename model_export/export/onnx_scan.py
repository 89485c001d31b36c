"""Loops over pieces as ONNX Scan nodes.

While torch exports a model, an opaque node stands for each loop; afterwards it becomes a Scan whose
body is exported by itself. torch's own `scan` fails on sizes that are computed from one another.
"""

from typing import Any

import onnx
import torch
from onnx import compose, helper
from torch import Tensor, nn

from model_export.front_ends.piecewise import Piecewise

DOMAIN, NAME = "wsm", "name"


class OpaqueLoop(nn.Module):
    """Stands for a loop during export, as a node that nobody can run.

    Args:
        name: of the loop in its model.
        loop: what it stands for.
    """

    def __init__(self, name: str, loop: Piecewise) -> None:
        super().__init__()
        self.name = name
        self.body: Any = loop.body
        self.dtype = loop.dtype

    def forward(self, inputs: list[Tensor]) -> Tensor:
        """Give the type and shape that the loop's output will have."""
        shape = self.body.shape_of([each[0] for each in inputs])
        output: Tensor = torch.onnx.ops.symbolic(
            f"{DOMAIN}::Piecewise",
            inputs,
            {NAME: self.name},
            dtype=self.dtype,
            shape=(inputs[0].shape[0], *shape),
        )
        return output


def fill_loops(model: onnx.ModelProto, bodies: dict[str, onnx.GraphProto]) -> None:
    """Turn opaque nodes into Scans.

    Args:
        model: with opaque nodes.
        bodies: of each loop, by name; taken apart.
    """
    for node in model.graph.node:
        if node.domain == DOMAIN:
            name = helper.get_node_attr_value(node, NAME).decode()
            node.CopyFrom(_scan(node, _within(model.graph, bodies[name], name)))
    known = [domain for domain in model.opset_import if domain.domain != DOMAIN]
    del model.opset_import[:]
    model.opset_import.extend(known)


def _scan(opaque: onnx.NodeProto, body: onnx.GraphProto) -> onnx.NodeProto:
    return helper.make_node(
        "Scan", opaque.input, opaque.output, body=body, num_scan_inputs=len(opaque.input)
    )


def _within(graph: onnx.GraphProto, body: onnx.GraphProto, name: str) -> onnx.GraphProto:
    """Give a body names of its own, and its weights to the graph around it.

    There they are stored as all others are, and those that both need are stored once.
    """
    body = compose.add_prefix_graph(body, f"{name}.body.")
    known = {weight.name for weight in graph.initializer}
    graph.initializer.extend(weight for weight in body.initializer if weight.name not in known)
    del body.initializer[:]
    return body
