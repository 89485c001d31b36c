import pytest
import torch
from torch import nn

from model_export.front_ends.piecewise import Piecewise, cut, join

HOP, OVERLAP = 4, 3


class Doubled(nn.Module):
    def forward(self, inputs: list[torch.Tensor]) -> torch.Tensor:
        return inputs[0] * 2 + inputs[1]


def pieces_of(batch: int, samples: int, most_samples: int) -> torch.Tensor:
    waveforms = torch.arange(1.0, batch * samples + 1).reshape(batch, samples)
    return cut(waveforms, unit=HOP, overlap=OVERLAP, most_samples=most_samples)


def test_the_body_sees_one_piece_of_every_input() -> None:
    first, second = torch.randn(3, 2, 5), torch.randn(3, 2, 1)
    torch.testing.assert_close(Piecewise(Doubled())([first, second]), first * 2 + second)


def test_a_piece_ends_with_the_beginning_of_the_next() -> None:
    pieces = pieces_of(1, 10, most_samples=HOP)
    assert pieces.squeeze(1).tolist() == [[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0], [9, 10] + 9 * [0]]


@pytest.mark.parametrize("samples", [1, 4, 40])
def test_what_fits_is_one_piece_no_longer_than_it_must_be(samples: int) -> None:
    pieces = pieces_of(2, samples, most_samples=2 * 40)
    assert pieces.shape == (1, 2, -(-samples // HOP) * HOP + OVERLAP)


def test_what_just_does_not_fit_is_two_halves() -> None:
    assert pieces_of(1, 48, most_samples=40).shape == (2, 1, 24 + OVERLAP)


def test_many_rows_make_short_pieces() -> None:
    assert pieces_of(100, 8, most_samples=40).shape == (2, 100, HOP + OVERLAP)


def test_joined_pieces_are_in_order_and_cut_to_length() -> None:
    outputs = torch.arange(12.0).reshape(3, 1, 4, 1)
    assert join(outputs, 10).flatten().tolist() == list(range(10))


def test_rows_stay_apart() -> None:
    outputs = torch.arange(8.0).reshape(2, 2, 2, 1)
    assert join(outputs, 3).squeeze(2).tolist() == [[0, 1, 4], [2, 3, 6]]
