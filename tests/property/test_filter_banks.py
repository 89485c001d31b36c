"""In pieces or whole, alone or among others, an utterance has the same filter banks."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from model_export.front_ends.filter_banks import FilterBanks

TOLERANCE = 1e-5
BANDS = 8


def features_of(waveforms: Tensor, lengths: list[int], piece_samples: int) -> tuple[Tensor, Tensor]:
    filter_banks = FilterBanks(BANDS)
    filter_banks.piece_samples = piece_samples
    with torch.inference_mode():
        features, mel_lengths = filter_banks(waveforms, torch.tensor(lengths))
    return features, mel_lengths


@settings(max_examples=60, deadline=None)
@given(
    lengths=st.lists(st.integers(560, 9000), min_size=1, max_size=4),
    padding_samples=st.integers(0, 2000),
    padding=st.sampled_from([0.0, 1.0, float("nan")]),
    piece_samples=st.integers(1, 40_000),
    level=st.sampled_from([1e-6, 0.1]),
    seed=st.integers(0, 99),
)
def test_neither_padding_nor_pieces_change_anything(
    lengths: list[int],
    padding_samples: int,
    padding: float,
    piece_samples: int,
    level: float,
    seed: int,
) -> None:
    generator = torch.Generator().manual_seed(seed)
    batch = torch.full((len(lengths), max(lengths) + padding_samples), padding)
    for row, length in zip(batch, lengths, strict=True):
        row[:length] = level * torch.randn(length, generator=generator)
    features, mel_lengths = features_of(batch, lengths, piece_samples)
    for row, waveform, length, frames in zip(features, batch, lengths, mel_lengths, strict=True):
        alone, _ = features_of(waveform[None, :length], [length], 1_000_000)
        assert alone.shape[1] == frames
        torch.testing.assert_close(row[:frames], alone[0], atol=TOLERANCE, rtol=0.0)
        assert not row[frames:].any()
