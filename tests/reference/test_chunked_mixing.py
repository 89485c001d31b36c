"""Chunked WSM against slow loops over batch and frames, written from the formulas."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from model_export.mixing.means import mean_so_far
from model_export.mixing.summary_mixing import WindowedSummaryMixing

WIDTH = 4
TOLERANCE = 1e-5
HALF_TOLERANCE = {torch.bfloat16: 4e-2, torch.float16: 4e-3}
CHUNKS = (1, 2, 5, 40)  # the last is longer than any row
WINDOWS = (0, 1, 3, 40)

row_lengths = st.lists(st.integers(1, 12), min_size=1, max_size=4)


def mix_by_loops(
    block: WindowedSummaryMixing, frames: Tensor, lengths: list[int], chunk_frames: int
) -> list[Tensor]:
    """h_t of every valid frame, row by row: `[length, D]` each."""
    rows = zip(frames, lengths, strict=True)
    return [_mix_row(block, row[:length], chunk_frames) for row, length in rows]


def _mix_row(block: WindowedSummaryMixing, row: Tensor, chunk_frames: int) -> Tensor:
    summaries = [_branch(block.summary_branch, frame) for frame in row]
    mixed = []
    for here, frame in enumerate(row):
        chunk_end = (here // chunk_frames + 1) * chunk_frames
        heard = summaries[:chunk_end]
        local = _branch(block.local_branch, frame)
        overall = sum(heard[1:], heard[0]) / len(heard)
        together = torch.cat([local, _nearby(block, heard, here), overall])
        mixed.append(block.combiner.weight @ together + block.combiner.bias)
    return torch.stack(mixed)


def _nearby(block: WindowedSummaryMixing, heard: list[Tensor], here: int) -> Tensor:
    w = block.window_frames
    span = 2 * w + 1
    near = [t for t in range(here - w, here + w + 1) if 0 <= t < len(heard)]
    total = torch.zeros_like(heard[0])
    for t in near:
        weight = 1 / span if block.window_weights is None else block.window_weights[:, t - here + w]
        total = total + weight * heard[t]
    return total * span / len(near)


def _branch(branch: torch.nn.Sequential, frame: Tensor) -> Tensor:
    return F.gelu(branch[0].weight @ frame + branch[0].bias)


def make_block(window: int, chunk_frames: int, *, learned: bool) -> WindowedSummaryMixing:
    block = WindowedSummaryMixing(WIDTH, window, learned_window=learned)
    block.chunk_frames = chunk_frames
    if block.window_weights is not None:
        torch.nn.init.normal_(block.window_weights)
    return block


def mask_of(lengths: list[int], frames: int) -> Tensor:
    return torch.arange(frames) < torch.tensor(lengths).unsqueeze(1)


def gradients(
    block: WindowedSummaryMixing, frames: Tensor, outputs: list[Tensor]
) -> tuple[Tensor, ...]:
    """Gradients of a fixed, uneven loss over the valid outputs."""
    loss = sum(
        (output * torch.arange(output.numel()).view_as(output).cos()).sum() / len(output)
        for output in outputs
    )
    return torch.autograd.grad(loss, [frames, *block.parameters()])


@pytest.mark.parametrize("learned", [False, True])
@pytest.mark.parametrize("chunk_frames", CHUNKS)
@pytest.mark.parametrize("window", WINDOWS)
@settings(deadline=None, max_examples=8)
@given(lengths=row_lengths, padding=st.integers(0, 3), seed=st.integers(0, 99))
def test_values_and_gradients_equal_the_loops(
    lengths: list[int], padding: int, seed: int, window: int, chunk_frames: int, learned: bool
) -> None:
    torch.manual_seed(seed)
    block = make_block(window, chunk_frames, learned=learned)
    frames = torch.randn(len(lengths), max(lengths) + padding, WIDTH, requires_grad=True)

    expected = mix_by_loops(block, frames, lengths, chunk_frames)
    mixed = block(frames, mask_of(lengths, frames.shape[1]))
    actual = [row[:length] for row, length in zip(mixed, lengths, strict=True)]

    torch.testing.assert_close(actual, expected, atol=TOLERANCE, rtol=TOLERANCE)
    torch.testing.assert_close(
        gradients(block, frames, actual),
        gradients(block, frames, expected),
        atol=TOLERANCE,
        rtol=10 * TOLERANCE,
    )


@pytest.mark.parametrize("dtype", HALF_TOLERANCE)
@pytest.mark.parametrize("learned", [False, True])
def test_half_precision_stays_close_to_the_loops_in_double(
    learned: bool, dtype: torch.dtype
) -> None:
    torch.manual_seed(0)
    block = make_block(2, 3, learned=learned).to(dtype)
    frames = torch.randn(2, 11, WIDTH, dtype=dtype)
    mixed = block(frames, mask_of([11, 4], 11))
    expected = mix_by_loops(block.double(), frames.double(), [11, 4], 3)
    assert mixed.dtype is dtype
    tolerance = HALF_TOLERANCE[dtype] * (4 if learned else 1)
    for got, want in zip(mixed, expected, strict=True):
        torch.testing.assert_close(got[: len(want)].double(), want, atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize("learned", [False, True])
def test_sums_stay_float32_under_autocast(learned: bool) -> None:
    torch.manual_seed(0)
    block = make_block(2, 3, learned=learned)
    frames, valid_mask = torch.randn(2, 11, WIDTH), mask_of([11, 4], 11)
    exact = block(frames, valid_mask)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = block(frames, valid_mask)
    rounded.float().square().sum().backward()
    torch.testing.assert_close(rounded.float(), exact, atol=0.1, rtol=0.1)
    assert all(value.grad is not None for value in block.parameters())


@pytest.mark.parametrize("chunk_frames", [None, 2, 40])
def test_learned_weights_begin_as_the_plain_mean(chunk_frames: int | None) -> None:
    learned = WindowedSummaryMixing(WIDTH, 3, learned_window=True)
    plain = WindowedSummaryMixing(WIDTH, 3)
    plain.load_state_dict(learned.state_dict(), strict=False)
    learned.chunk_frames = plain.chunk_frames = chunk_frames
    frames, valid_mask = torch.randn(3, 17, WIDTH), mask_of([17, 9, 1], 17)
    torch.testing.assert_close(learned(frames, valid_mask), plain(frames, valid_mask))


def test_one_chunk_for_all_frames_is_the_whole_utterance() -> None:
    block = WindowedSummaryMixing(WIDTH, 3)
    frames, valid_mask = torch.randn(3, 17, WIDTH), mask_of([17, 9, 1], 17)
    whole = block(frames, valid_mask)
    block.chunk_frames = 17
    torch.testing.assert_close(block(frames, valid_mask), whole)


def test_mean_so_far_of_an_hour_keeps_its_precision() -> None:
    torch.manual_seed(0)
    frames = torch.randn(1, 180_000, WIDTH) + 3.0
    means = mean_so_far(frames, torch.ones(1, 180_000, dtype=torch.bool), 16)
    exact = frames.double().mean(dim=1)
    torch.testing.assert_close(means[:, -1].double(), exact, rtol=1e-5, atol=0)
