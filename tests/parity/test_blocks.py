"""Eager, scripted, exported: one block, one result, at lengths the export never saw."""

from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
import torch
from torch import Tensor, nn

from model_export.mixing.summary_mixing import SummaryMixing, WindowedSummaryMixing

WIDTH = 8
SHAPES = [(1, 1), (1, 2), (3, 5), (2, 40)]
BLOCKS = [
    pytest.param(lambda: SummaryMixing(WIDTH), id="sm"),
    pytest.param(lambda: WindowedSummaryMixing(WIDTH, 0), id="wsm-0"),
    pytest.param(lambda: WindowedSummaryMixing(WIDTH, 3), id="wsm-3"),
    pytest.param(lambda: WindowedSummaryMixing(WIDTH, 3, learned_window=True), id="wsm-3-learned"),
    pytest.param(lambda: WindowedSummaryMixing(WIDTH, 100), id="wsm-100"),
]


def batch_of(rows: int, frames: int) -> tuple[Tensor, Tensor]:
    """Random frames, and a mask in which only the first row is full."""
    lengths = torch.arange(frames, frames - rows, -1).clamp(min=1)
    return torch.randn(rows, frames, WIDTH), torch.arange(frames) < lengths.unsqueeze(1)


def exported(block: nn.Module) -> torch.export.ExportedProgram:
    sizes = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
    return torch.export.export(block.eval(), batch_of(2, 9), dynamic_shapes=(sizes, sizes))


@pytest.mark.parametrize("make", BLOCKS)
def test_scripted_equals_eager(make) -> None:
    block: nn.Module = make()
    scripted = torch.jit.script(block)
    for shape in SHAPES:
        frames, valid_mask = batch_of(*shape)
        torch.testing.assert_close(scripted(frames, valid_mask), block(frames, valid_mask))


@pytest.mark.parametrize("make", BLOCKS)
def test_exported_program_equals_eager(make) -> None:
    block: nn.Module = make()
    program = exported(block).module()
    for shape in SHAPES:
        frames, valid_mask = batch_of(*shape)
        torch.testing.assert_close(program(frames, valid_mask), block(frames, valid_mask))


@pytest.mark.parametrize("make", BLOCKS)
def test_onnxruntime_equals_eager(make, tmp_path: Path) -> None:
    block: nn.Module = make()
    path = tmp_path / "block.onnx"
    torch.onnx.export(exported(block), (), str(path), dynamo=True, verbose=False)
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_inputs()]
    for shape in SHAPES:
        frames, valid_mask = batch_of(*shape)
        inputs = dict(zip(names, (frames.numpy(), valid_mask.numpy()), strict=True))
        (mixed,) = session.run(None, inputs)
        np.testing.assert_allclose(mixed, block(frames, valid_mask).detach(), atol=1e-5)
