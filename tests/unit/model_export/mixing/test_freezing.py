from pathlib import Path

import pytest
import torch
from checkpoints import MakeBase

from model_export.encoders.ctc_model import CtcModel
from model_export.encoders.families import build_model
from model_export.mixing.freezing import first_trained_layer, freeze_all_but, trainable_names
from model_export.mixing.surgery import add_layers, count_parameters, replace_attention

BLOCK = {
    f"mixer.{part}.{kind}"
    for part in ("local_branch.0", "summary_branch.0", "combiner")
    for kind in ("weight", "bias")
}
NORM = {"weight", "bias"}
HEAD = {"head.weight", "head.bias"}


@pytest.fixture
def model(whisper_base: Path) -> CtcModel:
    model = build_model(whisper_base, 5)
    replace_attention(model, layers=(1,), mixer="wsm", window_frames=2)
    return model


def under(prefix: str, names: set[str]) -> set[str]:
    return {f"{prefix}.{name}" for name in names}


def test_new_blocks_their_norm_and_the_head_learn(model: CtcModel) -> None:
    assert trainable_names(model, (1,)) == (
        under("layers.1.self_attn", BLOCK) | under("layers.1.self_attn_layer_norm", NORM) | HEAD
    )


def test_names_in_wav2vec2(wav2vec2_base: Path) -> None:
    model = build_model(wav2vec2_base, 5)
    replace_attention(model, layers=(2,), mixer="wsm", window_frames=2)
    assert trainable_names(model, (2,)) == (
        under("layers.2.attention", BLOCK) | under("layers.2.layer_norm", NORM) | HEAD
    )


def test_also_train_widens_the_set(model: CtcModel) -> None:
    narrow = trainable_names(model, (1,))
    wide = trainable_names(model, (1,), ("feed-forward", "final-norm"))
    assert wide - narrow == (
        under("layers.1.fc1", NORM)
        | under("layers.1.fc2", NORM)
        | under("layers.1.final_layer_norm", NORM)
        | under("final_norm", NORM)
    )


def test_whole_parts_can_learn(model: CtcModel) -> None:
    everything = {name for name, _ in model.named_parameters()}
    stem = {name for name in everything if name.startswith("stem.")}
    assert stem
    assert trainable_names(model, (1,), ("stem",)) == trainable_names(model, (1,)) | stem
    assert trainable_names(model, (1,), ("layers", "final-norm")) == everything - stem
    assert trainable_names(model, (1,), ("all",)) == everything
    assert first_trained_layer(model, (1,), also_train=("stem",)) == 0
    assert first_trained_layer(model, (1,), also_train=("feed-forward",)) == 1


def test_names_in_wavlm(make_base: MakeBase) -> None:
    """The bias that its layers share stays as it is, whatever mixes in the first of them."""
    model = build_model(make_base("wavlm"), 5)
    projections = {
        f"{name}.{kind}"
        for name in ("q_proj", "k_proj", "v_proj", "out_proj", "gru_rel_pos_linear")
        for kind in NORM
    }
    assert trainable_names(model, (0,)) == (
        under("layers.0.attention", projections | {"gru_rel_pos_const"})
        | under("layers.0.layer_norm", NORM)
        | HEAD
    )


def test_feed_forward_parts_of_a_conformer_are_two_and_no_convolution(make_base: MakeBase) -> None:
    model = build_model(make_base("conformer relative"), 5)
    wide = trainable_names(model, (1,), ("feed-forward",)) - trainable_names(model, (1,))
    dense = under("intermediate_dense", NORM) | under("output_dense", NORM)
    assert wide == (
        under("layers.1.ffn1", dense)
        | under("layers.1.ffn2", dense)
        | under("layers.1.ffn1_layer_norm", NORM)
        | under("layers.1.ffn2_layer_norm", NORM)
        | under("layers.1.final_layer_norm", NORM)
    )


@pytest.mark.parametrize("mixer", ["wsm", "attention", "random-attention"])
@pytest.mark.parametrize("base", ["whisper", "xls-r", "wavlm", "conformer relative", "w2v-bert"])
def test_all_that_may_learn_does_in_every_family(make_base: MakeBase, base: str, mixer) -> None:
    model = build_model(make_base(base), 5)
    window_frames = 2 if mixer == "wsm" else None
    replace_attention(model, layers=(0, 1), mixer=mixer, window_frames=window_frames)
    names = trainable_names(model, (0, 1), ("feed-forward",))
    freeze_all_but(model, names)
    logits, frames = model.train()(torch.randn(2, 6000) * 0.1, torch.tensor([6000, 4500]))
    logits[0].square().sum().backward()
    reached = {name for name, value in model.named_parameters() if value.grad is not None}
    assert reached == names
    assert logits[1, : frames[1]].isfinite().all()


def test_one_layer_is_not_mistaken_for_another(model: CtcModel) -> None:
    names = trainable_names(model, (0,))
    assert not any(name.startswith("layers.1.") for name in names)


def test_only_selected_names_get_gradients(model: CtcModel) -> None:
    names = trainable_names(model, (1,))
    freeze_all_but(model, names)
    logits, _ = model(torch.randn(2, 4000) * 0.1, torch.tensor([4000, 2500]))
    logits.square().sum().backward()
    learning = {name for name, value in model.named_parameters() if value.requires_grad}
    reached = {name for name, value in model.named_parameters() if value.grad is not None}
    assert learning == reached == names
    assert all(value.grad.any() for name, value in model.named_parameters() if name in names)
    assert count_parameters(model, trainable_only=True) == sum(
        value.numel() for name, value in model.named_parameters() if name in names
    )


def test_nothing_below_the_first_trained_layer_needs_gradients(model: CtcModel) -> None:
    freeze_all_but(model, trainable_names(model, (1,)))
    first = first_trained_layer(model, (1,))
    hidden, _ = model.lower(torch.randn(1, 4000), torch.tensor([4000]), first)
    assert first == 1
    assert not hidden.requires_grad


def test_added_layers_learn_whole(model: CtcModel) -> None:
    add_layers(model, 1)
    added = len(model.layers) - 1
    names = trainable_names(model, (added,), added=1)
    assert names - HEAD == {
        f"layers.{added}.{n}" for n, _ in model.layers[added].named_parameters()
    }
    assert first_trained_layer(model, (added,), 1) == added
    assert first_trained_layer(model, (), 1) == added
    assert first_trained_layer(model, (0,), 1) == 0


def test_the_head_alone_can_learn(model: CtcModel) -> None:
    assert first_trained_layer(model, ()) == len(model.layers)
    assert trainable_names(model, ()) == HEAD


def test_frozen_parts_stay_deterministic_in_training(make_wav2vec2_base) -> None:
    noisy = {"hidden_dropout": 0.5, "activation_dropout": 0.5, "feat_proj_dropout": 0.5}
    model = build_model(make_wav2vec2_base(**noisy), 5)
    freeze_all_but(model, trainable_names(model, (2,)))
    waveforms, lengths = torch.randn(1, 4000), torch.tensor([4000])
    expected, _ = model.lower(waveforms, lengths, 2)
    model.train()
    assert torch.equal(model.lower(waveforms, lengths, 2)[0], expected)
    assert model.layers[2].training
    assert model.eval().layers[2].training is False
