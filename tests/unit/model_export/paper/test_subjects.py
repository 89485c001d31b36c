"""What learns, and that checkpointing changes memory and not gradients."""

import pytest
import torch

from model_export.paper.shapes import TINY
from model_export.paper.subjects import (
    ABOVE_FEATURES,
    ATTENTION_LAST_2,
    CHECKPOINTED,
    EVERYTHING,
    SM_LAST_2,
    SUBJECTS,
    WSM_ALL,
    WSM_LAST_2,
    Objective,
    model_of,
    random_model,
)

BY_NAME = {subject.name: subject for subject in SUBJECTS}


@pytest.fixture(scope="module")
def base():
    return random_model(TINY["tiny"])


def learning_of(model):
    return {name for name, value in model.named_parameters() if value.requires_grad}


def parts_of(model):
    """Layer and part of what learns."""
    return {".".join(name.split(".")[:3]) for name in learning_of(model)}


@pytest.mark.parametrize("name", [ATTENTION_LAST_2, CHECKPOINTED, SM_LAST_2, WSM_LAST_2])
def test_in_the_last_two_the_same_parts_learn(base, name):
    assert parts_of(model_of(BY_NAME[name], base)) == {
        "head.weight", "head.bias",
        "layers.1.attention", "layers.1.layer_norm",
        "layers.2.attention", "layers.2.layer_norm",
    }  # fmt: skip


def test_in_all_layers_the_same_rule_holds(base):
    parts = parts_of(model_of(BY_NAME[WSM_ALL], base))

    assert parts == {"head.weight", "head.bias"} | {
        f"layers.{index}.{part}" for index in range(3) for part in ("attention", "layer_norm")
    }


def test_full_fine_tuning_leaves_nothing_or_the_feature_extractor(base):
    everything, above = (model_of(BY_NAME[name], base) for name in (EVERYTHING, ABOVE_FEATURES))

    left_out = learning_of(everything) - learning_of(above)
    assert learning_of(everything) == {name for name, _ in everything.named_parameters()}
    assert left_out
    assert all(name.startswith("stem.features.") for name in left_out)
    assert "stem.feature_projection.projection.weight" in learning_of(above)


def gradients_of(base, name):
    objective = Objective(model_of(BY_NAME[name], base), BY_NAME[name]).eval()
    waveforms = 0.1 * torch.randn(2, 8000, generator=torch.Generator().manual_seed(0))
    objective(waveforms, torch.tensor([8000, 8000]), torch.tensor([[1, 2], [3, 1]])).backward()
    return {key: value.grad for key, value in objective.named_parameters() if value.requires_grad}


def test_checkpointing_gives_the_same_gradients(base):
    plain, again = gradients_of(base, ATTENTION_LAST_2), gradients_of(base, CHECKPOINTED)

    assert plain.keys() == again.keys()
    assert all(torch.equal(plain[key], again[key]) for key in plain)


@pytest.mark.parametrize("name", [EVERYTHING, ABOVE_FEATURES, WSM_ALL])
def test_all_that_learns_has_gradients(base, name):
    assert all(gradient is not None for gradient in gradients_of(base, name).values())
