"""Which parameters learn: selecting names and freezing the rest are two steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:  # the command line lists the choices here without waiting for torch
    from torch import Tensor

    from model_export.encoders.ctc_model import CtcModel

AlsoTrain = Literal["feed-forward", "final-norm", "layers", "stem", "all"]
ALSO_TRAIN: tuple[AlsoTrain, ...] = get_args(AlsoTrain)
WHOLE_PARTS = {"final-norm": "final_norm.", "layers": "layers.", "stem": "stem."}


def first_trained_layer(
    model: CtcModel, layers: tuple[int, ...], added: int = 0, also_train: tuple[AlsoTrain, ...] = ()
) -> int:
    """Lowest layer that needs gradients; the layer count if only the head learns.

    It is 0 if the stem learns, which then needs them too.
    """
    if {"layers", "stem", "all"} & set(also_train):
        return 0
    return min((*layers, len(model.layers) - added))


def trainable_names(
    model: CtcModel, layers: tuple[int, ...], also_train: tuple[AlsoTrain, ...] = (), added: int = 0
) -> set[str]:
    """Names of the parameters that learn.

    The mixers of `layers` with their LayerNorm, the `added` layers on top, and the head;
    `also_train` widens this to the feed-forward parts of `layers` with their norms (both of a
    conformer's, but not its convolution), to the norm after the last layer, to everything in all
    layers, to the stem below them, or to all there is.
    """
    if "all" in also_train:
        return {name for name, _ in model.named_parameters()}
    kind = model.layer_kind
    parts = [kind.attention, kind.attention_norm]
    if "feed-forward" in also_train:
        parts += kind.feed_forward
    prefixes = [f"layers.{index}.{part}." for index in layers for part in parts] + ["head."]
    own_layers = len(model.layers) - added
    prefixes += [f"layers.{index}." for index in range(own_layers, len(model.layers))]
    prefixes += [WHOLE_PARTS[part] for part in also_train if part in WHOLE_PARTS]
    return {name for name, _ in model.named_parameters() if name.startswith(tuple(prefixes))}


def freeze_all_but(model: CtcModel, names: set[str]) -> None:
    """Let only the named parameters learn."""
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in names)


def trained_tensors(model: CtcModel) -> dict[str, Tensor]:
    """The parameters that learn, by name, detached."""
    return {
        name: parameter.detach()
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
    }
