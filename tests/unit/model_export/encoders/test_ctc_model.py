from pathlib import Path

import pytest
import torch
from checkpoints import BASES, MakeBase

from model_export.encoders.ctc_model import CtcModel
from model_export.encoders.families import build_model
from model_export.mixing.surgery import replace_attention


@pytest.fixture(params=BASES)
def folder(request: pytest.FixtureRequest, make_base: MakeBase) -> Path:
    return make_base(request.param)


@pytest.fixture
def model(folder: Path) -> CtcModel:
    """Attention in the upper layer, WSM in the lower one, where WavLM had its shared bias."""
    model = build_model(folder, 5)
    replace_attention(model, layers=(0,), mixer="wsm", window_frames=2)
    return model


@pytest.mark.parametrize("cut", [0, 1, 2])
def test_cutting_between_layers_changes_nothing(model: CtcModel, cut: int) -> None:
    waveforms, lengths = torch.randn(2, 6000) * 0.1, torch.tensor([6000, 4000])
    with torch.inference_mode():
        logits, frame_lengths = model(waveforms, lengths)
        hidden, lower_lengths = model.lower(waveforms, lengths, cut)
        pieced = model.upper(hidden, lower_lengths, cut)
    assert torch.equal(lower_lengths, frame_lengths)
    torch.testing.assert_close(pieced, logits)


def test_layers_above_a_replaced_one_hear_what_they_heard(model: CtcModel, folder: Path) -> None:
    hidden, frame_lengths = torch.randn(2, 40, 32), torch.tensor([40, 23])
    intact = build_model(folder, 5)
    intact.head.load_state_dict(model.head.state_dict())
    with torch.inference_mode():
        expected = intact.upper(hidden, frame_lengths, 1)
        torch.testing.assert_close(model.upper(hidden, frame_lengths, 1), expected, atol=0, rtol=0)


def test_batch_norms_keep_the_statistics_of_the_base(make_base: MakeBase) -> None:
    model = build_model(make_base("conformer relative"), 5).train()
    norms = [part for part in model.modules() if isinstance(part, torch.nn.BatchNorm1d)]
    before = [norm.running_mean.clone() for norm in norms]
    model(torch.randn(2, 6000) * 0.1, torch.tensor([6000, 4000]))
    assert len(norms) == 2
    assert model.layers[1].training
    assert not any(norm.training for norm in norms)
    assert all(
        torch.equal(norm.running_mean, mean) for norm, mean in zip(norms, before, strict=True)
    )


def test_width_is_that_of_the_encoder(model: CtcModel) -> None:
    assert model.width == 32
