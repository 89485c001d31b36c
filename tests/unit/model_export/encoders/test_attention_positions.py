import pytest
import torch
import transformers
from checkpoints import MakeBase

from model_export.encoders.attention_positions import RotaryAngles, conformer_positions

FRAMES = [1, 2, 37]


@pytest.mark.parametrize("frames", FRAMES)
@pytest.mark.parametrize(
    ("base", "kind"),
    [
        ("conformer relative", "Wav2Vec2ConformerModel"),
        ("conformer rotary", "Wav2Vec2ConformerModel"),
        ("w2v-bert relative", "Wav2Vec2BertModel"),
        ("w2v-bert rotary", "Wav2Vec2BertModel"),
    ],
)
def test_positions_as_in_transformers(
    make_base: MakeBase, base: str, kind: str, frames: int
) -> None:
    encoder = getattr(transformers, kind).from_pretrained(make_base(base))
    hidden = torch.randn(2, frames, encoder.config.hidden_size)
    expected = encoder.encoder.embed_positions(hidden)
    positions = conformer_positions(encoder)
    assert positions is not None
    torch.testing.assert_close(positions(hidden), expected, atol=1e-5, rtol=0.0)


def test_positions_by_key_need_nothing_shared(make_base: MakeBase) -> None:
    encoder = transformers.Wav2Vec2BertModel.from_pretrained(make_base("w2v-bert"))
    assert conformer_positions(encoder) is None


def test_positions_have_the_type_of_the_frames() -> None:
    assert RotaryAngles(8, 10_000.0)(torch.zeros(1, 3, 32).half()).dtype == torch.float16
