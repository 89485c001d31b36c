"""The blocks against slow loops over batch and frames, written from the formulas."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from model_export.mixing.means import global_mean
from model_export.mixing.summary_mixing import SummaryMixing, WindowedSummaryMixing

WIDTH = 4
LARGER_THAN_ANY_LENGTH = 40
TOLERANCE = {torch.float64: 1e-5, torch.float32: 1e-5, torch.bfloat16: 4e-2, torch.float16: 4e-3}
WINDOWS = (None, 0, 1, 3, LARGER_THAN_ANY_LENGTH)  # None: SummaryMixing

Block = SummaryMixing | WindowedSummaryMixing

row_lengths = st.lists(st.integers(1, 12), min_size=1, max_size=4)


def mix_by_loops(block: Block, frames: Tensor, lengths: list[int]) -> list[Tensor]:
    """h_t of every valid frame, row by row: `[length, D]` each."""
    return [_mix_row(block, row[:length]) for row, length in zip(frames, lengths, strict=True)]


def _mix_row(block: Block, row: Tensor) -> Tensor:
    summaries = [_branch(block.summary_branch, frame) for frame in row]
    overall = sum(summaries[1:], summaries[0]) / len(summaries)
    mixed = []
    for here, frame in enumerate(row):
        parts = [_branch(block.local_branch, frame)]
        if isinstance(block, WindowedSummaryMixing):
            near = [s for t, s in enumerate(summaries) if abs(t - here) <= block.window_frames]
            parts.append(sum(near[1:], near[0]) / len(near))
        together = torch.cat([*parts, overall])
        mixed.append(block.combiner.weight @ together + block.combiner.bias)
    return torch.stack(mixed)


def _branch(branch: torch.nn.Sequential, frame: Tensor) -> Tensor:
    return F.gelu(branch[0].weight @ frame + branch[0].bias)


def make_block(window: int | None, dtype: torch.dtype) -> Block:
    block = SummaryMixing(WIDTH) if window is None else WindowedSummaryMixing(WIDTH, window)
    return block.to(dtype)


def mask_of(lengths: list[int], frames: int) -> Tensor:
    return torch.arange(frames) < torch.tensor(lengths).unsqueeze(1)


def gradients(block: Block, frames: Tensor, outputs: list[Tensor]) -> list[Tensor]:
    """Gradients of a fixed, uneven loss over the valid outputs."""
    loss = sum(
        (output * torch.arange(output.numel()).view_as(output).cos()).sum() / len(output)
        for output in outputs
    )
    return list(torch.autograd.grad(loss, [frames, *block.parameters()]))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("window", WINDOWS)
@settings(deadline=None, max_examples=15)
@given(lengths=row_lengths, padding=st.integers(0, 3), seed=st.integers(0, 99))
def test_values_and_gradients_equal_the_loops(
    lengths: list[int], padding: int, seed: int, window: int | None, dtype: torch.dtype
) -> None:
    torch.manual_seed(seed)
    block = make_block(window, dtype)
    frames = torch.randn(len(lengths), max(lengths) + padding, WIDTH, dtype=dtype)
    frames.requires_grad_()

    expected = mix_by_loops(block, frames, lengths)
    mixed = block(frames, mask_of(lengths, frames.shape[1]))
    actual = [row[:length] for row, length in zip(mixed, lengths, strict=True)]

    tolerance = TOLERANCE[dtype]
    torch.testing.assert_close(actual, expected, atol=tolerance, rtol=tolerance)
    torch.testing.assert_close(
        gradients(block, frames, actual),
        gradients(block, frames, expected),
        atol=tolerance,
        rtol=tolerance,
    )


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("window", WINDOWS)
@settings(deadline=None, max_examples=10)
@given(lengths=row_lengths, seed=st.integers(0, 99))
def test_half_precision_stays_close_to_the_loops_in_double(
    lengths: list[int], seed: int, window: int | None, dtype: torch.dtype
) -> None:
    torch.manual_seed(seed)
    block = make_block(window, dtype)
    frames = torch.randn(len(lengths), max(lengths), WIDTH, dtype=dtype).requires_grad_()
    mixed = block(frames, mask_of(lengths, frames.shape[1]))
    actual = [row[:length] for row, length in zip(mixed, lengths, strict=True)]
    actual_gradients = gradients(block, frames, actual)

    exact_frames = frames.detach().double().requires_grad_()
    exact_block = block.double()
    expected = mix_by_loops(exact_block, exact_frames, lengths)

    tolerance = TOLERANCE[dtype]
    assert mixed.dtype is dtype
    for got, want in zip(actual, expected, strict=True):
        torch.testing.assert_close(got.double(), want, atol=tolerance, rtol=tolerance)
    wanted = gradients(exact_block, exact_frames, expected)
    for got, want in zip(actual_gradients, wanted, strict=True):
        torch.testing.assert_close(got.double(), want, atol=4 * tolerance, rtol=4 * tolerance)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_global_mean_of_an_hour_keeps_its_precision(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    frames = (torch.randn(1, 180_000, WIDTH) + 3.0).to(dtype)
    mean = global_mean(frames, torch.ones(1, 180_000, dtype=torch.bool))
    exact = frames.double().mean(dim=1, keepdim=True)
    assert mean.dtype is dtype
    torch.testing.assert_close(mean, exact.to(dtype), rtol=torch.finfo(dtype).eps, atol=0)
