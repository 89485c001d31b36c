import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from model_export.mixing.means import global_mean, mean_in_reach, window_mean
from model_export.mixing.summary_mixing import SummaryMixing, WindowedSummaryMixing

WIDTH = 8
BLOCKS = [
    pytest.param(lambda: SummaryMixing(WIDTH), id="sm"),
    pytest.param(lambda: WindowedSummaryMixing(WIDTH, 0), id="wsm-0"),
    pytest.param(lambda: WindowedSummaryMixing(WIDTH, 5), id="wsm-5"),
    pytest.param(lambda: WindowedSummaryMixing(WIDTH, 5, learned_window=True), id="wsm-5-learned"),
    pytest.param(lambda: WindowedSummaryMixing(WIDTH, 5000), id="wsm-5000"),
]


class LargestTensor(TorchDispatchMode):
    """Remembers the most elements that any tensor had."""

    def __init__(self) -> None:
        super().__init__()
        self.numel = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for one in result if isinstance(result, tuple | list) else (result,):
            if isinstance(one, Tensor):
                self.numel = max(self.numel, one.numel())
        return result


@pytest.mark.parametrize("make", BLOCKS)
def test_one_frame(make) -> None:
    block: nn.Module = make()
    frames = torch.randn(1, 1, WIDTH)
    mixed = block(frames, torch.ones(1, 1, dtype=torch.bool))
    assert mixed.shape == (1, 1, WIDTH)
    assert mixed.isfinite().all()


@pytest.mark.parametrize("make", BLOCKS)
@pytest.mark.parametrize("garbage", [1e9, float("inf"), float("nan")])
def test_garbage_in_the_padding_changes_nothing(make, garbage: float) -> None:
    block: nn.Module = make()
    frames = torch.randn(1, 7, WIDTH)
    padded = torch.cat([frames, torch.full((1, 9, WIDTH), garbage)], dim=1)
    alone = block(frames, torch.ones(1, 7, dtype=torch.bool))
    beside = block(padded, (torch.arange(16) < 7).unsqueeze(0))
    torch.testing.assert_close(beside[:, :7], alone)


@pytest.mark.parametrize("make", BLOCKS)
def test_rows_do_not_see_each_other(make) -> None:
    block: nn.Module = make()
    rows = [torch.randn(length, WIDTH) for length in (3, 11, 1, 6)]
    lengths = torch.tensor([len(row) for row in rows])
    batch = nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=7.0)
    together = block(batch, torch.arange(batch.shape[1]) < lengths.unsqueeze(1))
    for row, mixed in zip(rows, together, strict=True):
        alone = block(row.unsqueeze(0), torch.ones(1, len(row), dtype=torch.bool))
        torch.testing.assert_close(mixed[: len(row)], alone[0])


@pytest.mark.parametrize("make", BLOCKS)
def test_nothing_grows_with_the_square_of_the_length(make) -> None:
    block: nn.Module = make()

    def largest_numel(frames: int) -> int:
        inputs = torch.randn(1, frames, WIDTH, requires_grad=True)
        with LargestTensor() as largest:
            block(inputs, torch.ones(1, frames, dtype=torch.bool)).sum().backward()
        return largest.numel

    assert largest_numel(4000) - largest_numel(2000) == 2000 * WIDTH


@pytest.mark.parametrize("weights", [None, torch.rand(WIDTH, 11)], ids=["even", "learned"])
def test_a_chunk_of_a_whole_file_grows_with_its_length_only(weights: Tensor | None) -> None:
    def largest_numel(frames: int) -> int:
        reach_mask = torch.ones(1, 5 + frames, dtype=torch.bool)
        with LargestTensor() as largest:
            mean_in_reach(torch.randn(1, 5 + frames, WIDTH), reach_mask, 5, weights)
        return largest.numel

    assert largest_numel(4000) - largest_numel(2000) == 2000 * WIDTH


def test_a_window_over_everything_is_the_global_mean() -> None:
    frames = torch.randn(2, 9, WIDTH)
    valid_mask = torch.arange(9) < torch.tensor([[9], [4]])
    nearby = window_mean(frames, valid_mask, 20)
    overall = global_mean(frames, valid_mask)
    torch.testing.assert_close(nearby, overall.expand_as(nearby))


def test_means_of_no_valid_frame_are_zero() -> None:
    frames, none_valid = torch.randn(1, 5, WIDTH), torch.zeros(1, 5, dtype=torch.bool)
    assert not global_mean(frames, none_valid).any()
    assert not window_mean(frames, none_valid, 2).any()


def test_window_mean_deep_in_an_hour_is_exact() -> None:
    frames = torch.randn(1, 180_000, 1) + 100.0
    nearby = window_mean(frames, torch.ones(1, 180_000, dtype=torch.bool), 2)
    expected = frames[0, -10:-5, 0].double().mean()
    torch.testing.assert_close(nearby[0, -8, 0].double(), expected, rtol=1e-6, atol=0)


def test_a_negative_window_is_refused() -> None:
    with pytest.raises(ValueError, match="-1"):
        WindowedSummaryMixing(WIDTH, -1)
