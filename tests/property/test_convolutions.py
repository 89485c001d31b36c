"""In pieces or whole, the convolutions give the same."""

from collections.abc import Iterator

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from transformers import Wav2Vec2Config
from transformers.models.wav2vec2.modeling_wav2vec2 import Wav2Vec2FeatureEncoder

from model_export.front_ends.convolutions import ConvolutionalFeatures

TOLERANCE = 1e-5
WIDTH = 8
KINDS = ("layer", "group", "group with bias")
# The usual geometry, one whose kernels are no longer than their strides, one of long kernels.
GEOMETRIES = (((10, 3, 3, 3, 3, 2, 2), (5, 2, 2, 2, 2, 2, 2)), ((4, 2), (4, 2)), ((9, 7), (2, 2)))


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def layers_of(kind: str, geometry: int) -> nn.ModuleList:
    kernels, strides = GEOMETRIES[geometry]
    config = Wav2Vec2Config(
        conv_dim=(WIDTH,) * len(kernels),
        conv_kernel=kernels,
        conv_stride=strides,
        num_feat_extract_layers=len(kernels),
        feat_extract_norm=kind.split()[0],
        conv_bias=kind != "group",
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers = Wav2Vec2FeatureEncoder(config).conv_layers
        for parameter in layers.parameters():
            parameter.data += 0.2 * torch.randn_like(parameter)
    return layers


def whole(layers: nn.ModuleList, waveform: Tensor) -> Tensor:
    """transformers' own layers on one waveform `[samples]`: features `[frames, width]`."""
    hidden = waveform[None, None]
    for layer in layers:
        hidden = layer(hidden)
    return hidden[0].T


def batch_of(lengths: list[int], offset: float, seed: int) -> Tensor:
    """Noise around an offset; beyond each row's end nothing that can be computed with."""
    generator = torch.Generator().manual_seed(seed)
    waveforms = offset + torch.randn(len(lengths), max(lengths) + 50, generator=generator)
    for row, length in zip(waveforms, lengths, strict=True):
        row[length:] = float("nan")
    return waveforms


@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from(KINDS),
    geometry=st.sampled_from(range(len(GEOMETRIES))),
    lengths=st.lists(st.integers(720, 6000), min_size=1, max_size=4),
    piece_samples=st.integers(1, 20_000),
    offset=st.sampled_from([0.0, 3.0]),
    seed=st.integers(0, 99),
)
def test_pieces_change_nothing(
    kind: str, geometry: int, lengths: list[int], piece_samples: int, offset: float, seed: int
) -> None:
    layers = layers_of(kind, geometry)
    features = ConvolutionalFeatures(layers)
    features.piece_samples = piece_samples
    waveforms = batch_of(lengths, offset, seed)
    with torch.inference_mode():
        found, frame_lengths = features(waveforms, torch.tensor(lengths))
        for row, waveform, length, frames in zip(
            found, waveforms, lengths, frame_lengths, strict=True
        ):
            expected = whole(layers, waveform[:length])
            assert frames == len(expected)
            torch.testing.assert_close(row[:frames], expected, atol=TOLERANCE, rtol=TOLERANCE)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_those_of_the_whole(kind: str) -> None:
    layers = layers_of(kind, 0)
    waveform = torch.randn(5000, generator=torch.Generator().manual_seed(0))
    features = ConvolutionalFeatures(layers)
    features.piece_samples = 1000
    weights = list(layers.parameters())
    found, _ = features(waveform[None], torch.tensor([5000]))
    in_pieces = torch.autograd.grad(found.square().mean(), weights)
    at_once = torch.autograd.grad(whole(layers, waveform).square().mean(), weights)
    for left, right in zip(in_pieces, at_once, strict=True):
        torch.testing.assert_close(left, right, atol=1e-5, rtol=1e-3)
