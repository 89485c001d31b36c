"""The chunked form as an ONNX graph: see `service.streaming_form` for its inputs and outputs."""


import onnx
import torch

from model_export.export.exporters import BATCH, onnx_program
from model_export.mixing.streaming import StreamingModel
from service.backends.base import INPUTS, OUTPUTS


def streaming_graph(model: StreamingModel) -> onnx.ModelProto:
    """A float32 graph, its nodes still knowing which module they come from.

    Raises:
        ExportError: torch cannot export this model.
    """
    names = [state.name for state in model.states]
    return onnx_program(
        model,
        _example(model),
        input_names=[*INPUTS, *(f"state_{name}" for name in names)],
        output_names=[*OUTPUTS, *(f"next_state_{name}" for name in names)],
        dynamic_shapes={name: {0: BATCH} for name in (*INPUTS, *names)},
    )


def _example(model: StreamingModel) -> tuple[torch.Tensor, ...]:
    lengths = torch.tensor([model.row_samples, model.row_samples // 2])
    return (torch.zeros(2, model.row_samples), lengths, *model.initial_state(2))
