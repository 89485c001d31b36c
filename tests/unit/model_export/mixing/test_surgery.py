from pathlib import Path

import pytest
import torch
from checkpoints import MakeBase
from torch import Tensor

from model_export.encoders.ctc_model import CtcModel
from model_export.encoders.families import build_model
from model_export.encoders.layer_calls import MixerInPlace
from model_export.errors import ReplacementRefused
from model_export.mixing.summary_mixing import SummaryMixing, WindowedSummaryMixing
from model_export.mixing.surgery import (
    add_layers,
    count_parameters,
    replace_attention,
    select_layers,
)
from service.bundle import LayerMixing

WSM_3 = {"mixer": "wsm", "window_frames": 3}
EVERY_MIXER = [{"mixer": "attention"}, {"mixer": "random-attention"}, {"mixer": "sm"}, WSM_3]


@pytest.fixture(params=["whisper", "xls-r", "wavlm", "conformer relative", "w2v-bert"])
def model(request: pytest.FixtureRequest, make_base: MakeBase) -> CtcModel:
    """A base with each kind of attention."""
    return build_model(make_base(request.param), 5)


def weights_of(model: CtcModel) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        ("last:1", (3,)),
        ("last:4", (0, 1, 2, 3)),
        ("all", (0, 1, 2, 3)),
        ("2", (2,)),
        ("3,0,3", (0, 3)),
        (" 1 , 2 ", (1, 2)),
    ],
)
def test_selections(selection: str, expected: tuple[int, ...]) -> None:
    assert select_layers(selection, 4) == expected


@pytest.mark.parametrize(
    "selection", ["", "last:", "last:x", "last:0", "last:5", "last:-1", "first:2", "0-2", "4", "-1"]
)
def test_refused_selections_are_quoted(selection: str) -> None:
    with pytest.raises(ReplacementRefused, match=f"layers '{selection}'"):
        select_layers(selection, 4)


@pytest.mark.parametrize("asked", EVERY_MIXER, ids=lambda asked: asked["mixer"])
def test_every_mixer_runs(model: CtcModel, asked) -> None:
    last = len(model.layers) - 1
    replace_attention(model, layers=(last,), **asked)
    with torch.inference_mode():
        logits, frame_lengths = model(torch.randn(2, 5000) * 0.1, torch.tensor([5000, 3000]))
    assert logits.shape == (2, int(frame_lengths.max()), 5)
    assert logits.isfinite().all()
    assert model.mixing[last] == LayerMixing(**asked)
    assert all(mixing == LayerMixing(mixer="attention") for mixing in model.mixing[:last])


def test_added_layers_leave_the_encoder_as_it_is(model: CtcModel) -> None:
    own = len(model.layers)
    waveforms, lengths = torch.randn(2, 5000) * 0.1, torch.tensor([5000, 3000])
    with torch.inference_mode():
        below, _ = model.lower(waveforms, lengths, own)
        add_layers(model, 2)
        replace_attention(model, layers=(own, own + 1), **WSM_3)
        again, _ = model.lower(waveforms, lengths, own)
        logits, frame_lengths = model(waveforms, lengths)
    assert torch.equal(again, below)
    assert logits.shape == (2, int(frame_lengths.max()), 5)
    assert logits.isfinite().all()
    assert [mixing.mixer for mixing in model.mixing] == ["attention"] * own + ["wsm"] * 2
    for name in model.layer_kind.feed_forward_ends:
        last, added = (model.layers[index].get_submodule(name) for index in (own - 1, own))
        assert all(parameter.any() for parameter in last.parameters() if parameter.dim() > 1)
        assert not any(parameter.any() for parameter in added.parameters())


def test_fewer_than_no_layers_cannot_be_added(model: CtcModel) -> None:
    with pytest.raises(ReplacementRefused, match="-1 layers"):
        add_layers(model, -1)


def test_report_counts_parameters(model: CtcModel) -> None:
    before, attention = count_parameters(model), count_parameters(model.attention_of(0))
    report = replace_attention(model, layers=(0, 1), **WSM_3)
    assert report.replaced == (0, 1)
    assert report.untouched == ()
    assert report.removed_parameters == 2 * attention
    assert report.added_parameters == 2 * count_parameters(WindowedSummaryMixing(32, 3))
    added = report.added_parameters - report.removed_parameters
    assert count_parameters(model) == before + added


def test_the_block_stands_where_attention_stood(model: CtcModel) -> None:
    replace_attention(model, layers=(0,), mixer="sm")
    replace_attention(model, layers=(1,), **WSM_3)
    plain, windowed = model.attention_of(0), model.attention_of(1)
    assert isinstance(plain, MixerInPlace)
    assert isinstance(plain.mixer, SummaryMixing)
    assert isinstance(windowed, MixerInPlace)
    assert isinstance(windowed.mixer, WindowedSummaryMixing)
    assert windowed.mixer.window_frames == 3


@pytest.mark.parametrize("asked", EVERY_MIXER, ids=lambda asked: asked["mixer"])
def test_a_second_call_changes_nothing(model: CtcModel, asked) -> None:
    replace_attention(model, layers=(1,), **asked)
    before = weights_of(model)
    report = replace_attention(model, layers=(1,), **asked)
    assert report.replaced == ()
    assert report.untouched == (1,)
    assert report.added_parameters == report.removed_parameters == 0
    torch.testing.assert_close(weights_of(model), before, rtol=0, atol=0)


def test_random_attention_is_drawn_anew(model: CtcModel) -> None:
    before = weights_of(model)
    report = replace_attention(model, layers=(1,), mixer="random-attention")
    assert report.added_parameters == report.removed_parameters > 0
    after = weights_of(model)
    attention = f"layers.1.{model.layer_kind.attention}."
    assert after.keys() == before.keys()
    for name, tensor in after.items():
        assert torch.equal(tensor, before[name]) != name.startswith(attention), name


@pytest.mark.parametrize(
    ("layers", "asked", "message"),
    [
        ((0, 99), {"mixer": "sm"}, "layer 99 does not exist"),
        ((0, -1), {"mixer": "sm"}, "layer -1 does not exist"),
        ((0,), {"mixer": "wsm", "window_frames": -1}, "not -1"),
        ((0,), {"mixer": "wsm"}, "not None"),
        ((0,), {"mixer": "sm", "window_frames": 3}, "sm has no window"),
        ((0, 1), {"mixer": "sm"}, "layer 1 already mixes by wsm"),
        ((0, 1), {"mixer": "wsm", "window_frames": 4}, "layer 1 already mixes by wsm"),
        ((0, 1), {"mixer": "attention"}, "layer 1 already mixes by wsm"),
    ],
)
def test_refuses_before_it_mutates(model: CtcModel, layers, asked, message: str) -> None:
    replace_attention(model, layers=(1,), **WSM_3)
    before, mixing = weights_of(model), list(model.mixing)
    with pytest.raises(ReplacementRefused, match=message):
        replace_attention(model, layers=layers, **asked)
    torch.testing.assert_close(weights_of(model), before, rtol=0, atol=0)
    assert model.mixing == mixing


def test_a_layer_without_attention_lists_what_it_has(whisper_base: Path) -> None:
    model = build_model(whisper_base, 5)
    del model.layers[1].self_attn
    before = weights_of(model)
    with pytest.raises(ReplacementRefused, match=r"layer 1 has no 'self_attn'; it has: .*fc1"):
        replace_attention(model, layers=(0, 1), mixer="sm")
    torch.testing.assert_close(weights_of(model), before, rtol=0, atol=0)
