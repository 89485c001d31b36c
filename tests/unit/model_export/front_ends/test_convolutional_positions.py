import pytest
import torch
import transformers
from checkpoints import BASES, MakeBase

from model_export.front_ends.convolutional_positions import ConvolutionalPositions


@pytest.mark.parametrize("base", ["wav2vec2", "hubert batch norm", "data2vec"])
def test_each_row_as_in_transformers_alone(make_base: MakeBase, base: str) -> None:
    kind = getattr(transformers, BASES[base][0] + "Model")
    embedding = kind.from_pretrained(make_base(base)).eval().encoder.pos_conv_embed
    lengths = [30, 11, 1]
    hidden = torch.randn(3, 30, 32)
    valid_mask = torch.arange(30) < torch.tensor(lengths).unsqueeze(1)
    with torch.inference_mode():
        positions = ConvolutionalPositions(embedding)(hidden, valid_mask)
        for row, frames, length in zip(positions, hidden, lengths, strict=True):
            expected = embedding(frames[None, :length])[0]
            torch.testing.assert_close(row[:length], expected, atol=1e-5, rtol=0.0)
