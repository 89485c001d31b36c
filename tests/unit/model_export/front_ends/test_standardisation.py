import pytest
import torch

from model_export.front_ends.standardisation import standardise


def test_it_ignores_padding_and_survives_silence() -> None:
    values = torch.tensor([[1.0, 3.0, 9e9], [0.0, 0.0, 0.0]])
    found = standardise(values, torch.tensor([2, 3]))
    torch.testing.assert_close(found, torch.tensor([[-1.0, 1.0, 0.0], [0.0, 0.0, 0.0]]))


@pytest.mark.parametrize("ddof", [0, 1])
def test_each_channel_has_its_own_scale(ddof: int) -> None:
    noise = torch.randn(3, 50, 2, generator=torch.Generator().manual_seed(0))
    values = torch.tensor([5.0, 40.0]) + torch.tensor([0.3, 20.0]) * noise
    lengths = torch.tensor([50, 9, 17])
    found = standardise(values, lengths, ddof=ddof)
    for row, raw, length in zip(found, values, lengths, strict=True):
        expected = raw[:length] - raw[:length].mean(dim=0)
        expected /= raw[:length].std(dim=0, correction=ddof)
        torch.testing.assert_close(row[:length], expected, atol=1e-4, rtol=1e-4)
        assert not row[length:].any()
