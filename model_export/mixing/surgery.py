"""Replacing self-attention: find every target, check everything, then mutate."""

import copy
from dataclasses import dataclass

from torch import nn

from model_export.encoders.ctc_model import CtcModel
from model_export.encoders.layer_calls import MixerInPlace
from model_export.errors import ReplacementRefused
from model_export.mixing.summary_mixing import SummaryMixing, WindowedSummaryMixing
from service.bundle import LayerMixing, Mixer, WindowWeights

# As transformers initialises them.
EMBEDDING_DEVIATION = 0.02
BEGINS_WITH_ONES = {"gru_rel_pos_const"}


@dataclass(frozen=True)
class ReplacementReport:
    """What surgery did.

    Attributes:
        replaced: layers changed by this call.
        untouched: layers asked for that already were so.
        added_parameters: parameters of the new blocks.
        removed_parameters: parameters of what they replaced.
    """

    replaced: tuple[int, ...]
    untouched: tuple[int, ...]
    added_parameters: int
    removed_parameters: int


def select_layers(selection: str, layer_count: int) -> tuple[int, ...]:
    """Layer indices of `last:N`, `all`, or a list such as `0,3,4`.

    Raises:
        ReplacementRefused: the selection is malformed, empty, or names layers that do not exist.
    """
    if selection == "all":
        return tuple(range(layer_count))
    kind, _, amount = selection.partition(":")
    try:
        if kind == "last":
            chosen = list(range(layer_count - int(amount), layer_count))
        else:
            chosen = sorted({int(part) for part in selection.split(",")})
    except ValueError:
        raise ReplacementRefused(
            f"layers {selection!r} is none of last:N, all, or a list such as 0,3,4"
        ) from None
    if not chosen or min(chosen) < 0 or max(chosen) >= layer_count:
        raise ReplacementRefused(
            f"layers {selection!r} do not fit an encoder with layers 0 to {layer_count - 1}"
        )
    return tuple(chosen)


def add_layers(model: CtcModel, count: int) -> None:
    """Put copies of the last layer on top, so that new mixers need not replace any attention.

    Their feed-forward parts begin by giving zero: what the last layer knows is not done twice.

    Args:
        model: changed in place.
        count: how many copies.

    Raises:
        ReplacementRefused: `count` is negative.
    """
    if count < 0:
        raise ReplacementRefused(f"{count} layers cannot be added; 0 or more can")
    for _ in range(count):
        layer = copy.deepcopy(model.layers[-1])
        for name in model.layer_kind.feed_forward_ends:
            for parameter in layer.get_submodule(name).parameters():
                nn.init.zeros_(parameter)
        model.layers.append(layer)
        model.mixing.append(model.mixing[-1])


def replace_attention(
    model: CtcModel,
    *,
    layers: tuple[int, ...],
    mixer: Mixer,
    window_frames: int | None = None,
    window_weights: WindowWeights = "mean",
) -> ReplacementReport:
    """Give layers another mixer.

    `attention` keeps the pretrained attention, `random-attention` draws its weights anew. A layer
    that already mixes as asked is left as it is, so a second call changes nothing.

    Args:
        model: changed in place, only after every check passed.
        layers: indices, as `select_layers` gives them.
        mixer: the kind of mixing.
        window_frames: half window; for `wsm` only.
        window_weights: how the frames of a window are weighed; `learned` is for `wsm` only.

    Raises:
        ReplacementRefused: a layer does not exist, has no attention, or was replaced otherwise.
    """
    wanted = LayerMixing(mixer=mixer, window_frames=window_frames, window_weights=window_weights)
    _check_window(wanted)
    changing = tuple(index for index in layers if _must_change(model, index, wanted))
    olds = [model.attention_of(index) for index in changing]
    news = [_make_mixer(wanted, model, old) for old in olds]
    for index, new in zip(changing, news, strict=True):
        setattr(model.layers[index], model.layer_kind.attention, new)
        model.mixing[index] = wanted
    return ReplacementReport(
        replaced=changing,
        untouched=tuple(index for index in layers if index not in changing),
        added_parameters=sum(map(count_parameters, news)),
        removed_parameters=sum(map(count_parameters, olds)),
    )


def count_parameters(module: nn.Module, *, trainable_only: bool = False) -> int:
    """Number of parameters of a module."""
    return sum(
        parameter.numel()
        for parameter in module.parameters()
        if parameter.requires_grad or not trainable_only
    )


def _check_window(wanted: LayerMixing) -> None:
    if wanted.mixer == "wsm" and (wanted.window_frames is None or wanted.window_frames < 0):
        raise ReplacementRefused(
            f"mixer wsm needs a half window of at least 0 frames, not {wanted.window_frames}"
        )
    if wanted.mixer != "wsm" and wanted.window_frames is not None:
        raise ReplacementRefused(
            f"mixer {wanted.mixer} has no window, but {wanted.window_frames} frames were given"
        )
    if wanted.mixer != "wsm" and wanted.window_weights != "mean":
        raise ReplacementRefused(
            f"mixer {wanted.mixer} has no window, but {wanted.window_weights} weights were asked"
        )


def _must_change(model: CtcModel, index: int, wanted: LayerMixing) -> bool:
    if not 0 <= index < len(model.layers):
        raise ReplacementRefused(
            f"layer {index} does not exist; layers: 0 to {len(model.layers) - 1}"
        )
    if not hasattr(model.layers[index], model.layer_kind.attention):
        near = ", ".join(name for name, _ in model.layers[index].named_children())
        raise ReplacementRefused(
            f"layer {index} has no {model.layer_kind.attention!r}; it has: {near}"
        )
    present = model.mixing[index]
    if present not in (wanted, LayerMixing(mixer="attention")):
        raise ReplacementRefused(f"layer {index} already mixes by {present.mixer}: {present}")
    return present != wanted


def _make_mixer(wanted: LayerMixing, model: CtcModel, attention: nn.Module) -> nn.Module:
    if wanted.mixer == "random-attention":
        return _redrawn(attention)
    block: nn.Module
    if wanted.mixer == "sm" or wanted.window_frames is None:
        block = SummaryMixing(model.width)
    else:
        block = WindowedSummaryMixing(
            model.width, wanted.window_frames, learned_window=wanted.window_weights == "learned"
        )
    return MixerInPlace(block, model.layer_kind.attention_outputs)


def _redrawn(attention: nn.Module) -> nn.Module:
    fresh = copy.deepcopy(attention)
    for module in fresh.modules():
        if isinstance(module, nn.Linear | nn.LayerNorm):
            module.reset_parameters()
        elif isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=EMBEDDING_DEVIATION)
        else:
            _redraw_own_parameters(module)
    return fresh


def _redraw_own_parameters(module: nn.Module) -> None:
    """Give a conformer's position biases and WavLM's gates what their pretraining began with."""
    for name, parameter in module.named_parameters(recurse=False):
        if name in BEGINS_WITH_ONES:
            nn.init.ones_(parameter)
        else:
            nn.init.xavier_uniform_(parameter)
