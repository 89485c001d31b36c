from pathlib import Path

import pytest
import torch
from checkpoints import MakeBase
from transformers import WavLMModel

from model_export.encoders.wavlm_attention import take_over_attention

FRAMES = 60  # the last bucket begins at a distance of 20


@pytest.fixture
def folder(make_base: MakeBase) -> Path:
    return make_base("wavlm", num_hidden_layers=3)


def test_bias_as_in_transformers(folder: Path) -> None:
    theirs = WavLMModel.from_pretrained(folder).encoder.layers[0].attention
    expected = theirs.compute_bias(FRAMES, FRAMES)
    bias = take_over_attention(WavLMModel.from_pretrained(folder))(torch.zeros(1, FRAMES, 32))
    assert torch.equal(bias, expected)


@pytest.mark.filterwarnings("ignore:Support for mismatched key_padding_mask:UserWarning")
@pytest.mark.parametrize("layer_index", [0, 2])
def test_attention_as_in_transformers(folder: Path, layer_index: int) -> None:
    theirs, ours = (WavLMModel.from_pretrained(folder) for _ in range(2))
    bias = take_over_attention(ours)
    theirs.eval()
    ours.eval()
    hidden = torch.randn(2, FRAMES, 32)
    valid_mask = torch.arange(FRAMES) < torch.tensor([[FRAMES], [25]])
    repeated = bias(hidden).repeat(2, 1, 1)
    expected, _, _ = theirs.encoder.layers[layer_index].attention(
        hidden, attention_mask=valid_mask, position_bias=repeated
    )
    mixed, _, kept = ours.encoder.layers[layer_index].attention(
        hidden, attention_mask=valid_mask[:, None, None, :], position_bias=bias(hidden)
    )
    torch.testing.assert_close(mixed, expected, atol=1e-5, rtol=0.0)
    assert torch.equal(kept, bias(hidden))


def test_weights_keep_their_names_but_the_shared_embedding(folder: Path) -> None:
    encoder = WavLMModel.from_pretrained(folder)
    before = set(encoder.encoder.layers.state_dict())
    bias = take_over_attention(encoder)
    assert before - set(encoder.encoder.layers.state_dict()) == {
        "0.attention.rel_attn_embed.weight"
    }
    assert set(bias.state_dict()) == {"embedding.weight"}
