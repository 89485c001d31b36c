"""What is compared: how the layers mix, and what learns."""

import copy
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from transformers import Wav2Vec2Config

from model_export.encoders.ctc_model import CtcModel
from model_export.encoders.families import WAV2VEC2, assemble
from model_export.encoders.layer_calls import LayerCall, LayerKind
from model_export.mixing.freezing import first_trained_layer, freeze_all_but, trainable_names
from model_export.mixing.surgery import replace_attention, select_layers
from service.bundle import Mixer

LABELS = 32
WINDOW_FRAMES = 8
FEATURE_EXTRACTOR = "stem.features."

Learns = Literal["mixers", "above the feature extractor", "everything"]


@dataclass(frozen=True)
class Subject:
    """One line of a comparison.

    Attributes:
        name: in tables and plots.
        mixer: what mixes the frames of `layers`; the others keep attention.
        layers: as `select_layers` takes them.
        learns: `mixers` are those of `layers` with their LayerNorm, and the head.
        checkpointing: layers keep only their inputs, and compute again what gradients need.
        inference: what it is called where nothing learns; None where another one is the same then.
    """

    name: str
    mixer: Mixer
    layers: str
    learns: Learns
    checkpointing: bool = False
    inference: str | None = None


EVERYTHING = "attention, everything learns"
ABOVE_FEATURES = "attention, all above the feature extractor learns"
ATTENTION_LAST_2 = "attention, last 2"
CHECKPOINTED = "attention, last 2, activation checkpointing"
SM_LAST_2 = "SummaryMixing, last 2"
WSM_LAST_2 = "WSM, last 2"
WSM_ALL = "WSM in all layers"
ATTENTION = "attention"

SUBJECTS = (
    Subject(EVERYTHING, "attention", "all", "everything"),
    Subject(ABOVE_FEATURES, "attention", "all", "above the feature extractor"),
    Subject(ATTENTION_LAST_2, "attention", "last:2", "mixers", inference=ATTENTION),
    Subject(CHECKPOINTED, "attention", "last:2", "mixers", checkpointing=True),
    Subject(WSM_LAST_2, "wsm", "last:2", "mixers", inference=WSM_LAST_2),
    Subject(WSM_ALL, "wsm", "all", "mixers", inference=WSM_ALL),
    Subject(SM_LAST_2, "sm", "last:2", "mixers", inference=SM_LAST_2),
)


def random_model(dimensions: dict[str, Any]) -> CtcModel:
    """A model of a shape with random weights and attention (SDPA) in every layer, on the CPU.

    Attention drops none of its weights: a CPU has no fused kernel that would.
    """
    torch.manual_seed(0)
    encoder = WAV2VEC2.encoder(Wav2Vec2Config(attention_dropout=0.0, **dimensions))
    return assemble(WAV2VEC2, encoder, WAV2VEC2.stem(encoder, {}), LABELS)


def model_of(subject: Subject, base: CtcModel) -> CtcModel:
    """A copy of a base that mixes and learns as the subject does."""
    model = copy.deepcopy(base)
    layers = select_layers(subject.layers, len(model.layers))
    window_frames = WINDOW_FRAMES if subject.mixer == "wsm" else None
    replace_attention(model, layers=layers, mixer=subject.mixer, window_frames=window_frames)
    freeze_all_but(model, _names_that_learn(model, subject.learns, layers))
    if subject.checkpointing:
        model.layer_kind = _checkpointed(model.layer_kind)
    return model


class Objective(nn.Module):
    """CTC loss of a subject; nothing below its lowest trained part keeps activations.

    Args:
        model: as `model_of` gives it.
        subject: what it was made for.
    """

    def __init__(self, model: CtcModel, subject: Subject) -> None:
        super().__init__()
        self.model = model
        self.first_layer = 0
        if subject.learns == "mixers":
            layers = select_layers(subject.layers, len(model.layers))
            self.first_layer = first_trained_layer(model, layers)
        self.lower_learns = subject.learns != "mixers"

    def forward(self, waveforms: Tensor, lengths: Tensor, labels: Tensor) -> Tensor:
        """Mean loss of waveforms `[batch, samples]` with labels `[batch, labels]`, all in full."""
        with torch.set_grad_enabled(self.lower_learns and torch.is_grad_enabled()):
            hidden, frame_lengths = self.model.lower(waveforms, lengths, self.first_layer)
        logits = self.model.upper(hidden, frame_lengths, self.first_layer)
        return nn.functional.ctc_loss(
            logits.float().log_softmax(dim=2).transpose(0, 1),
            labels,
            frame_lengths,
            torch.full_like(frame_lengths, labels.shape[1]),
            zero_infinity=True,
        )


def _names_that_learn(model: CtcModel, learns: Learns, layers: tuple[int, ...]) -> set[str]:
    if learns == "mixers":
        return trainable_names(model, layers)
    names = {name for name, _ in model.named_parameters()}
    if learns == "everything":
        return names
    return {name for name in names if not name.startswith(FEATURE_EXTRACTOR)}


def _checkpointed(kind: LayerKind) -> LayerKind:
    call: LayerCall = kind.call

    def call_again(
        layer: nn.Module, hidden: Tensor, valid_mask: Tensor, positions: Tensor | None
    ) -> Tensor:
        output: Tensor = checkpoint(call, layer, hidden, valid_mask, positions, use_reentrant=False)
        return output

    return replace(kind, call=call_again)
