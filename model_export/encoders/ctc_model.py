"""A speech encoder with a CTC head, cut where the frozen part ends.

    waveforms -> stem -> layers[0 .. n) -> final norm -> head -> logits

transformers' own layers are kept; this walk around them passes valid lengths instead of a square
mask, and can stop or start between two layers, which is what a feature cache needs. What the layers
of an architecture need beside hidden frames is said by its `LayerKind`.

Shapes: B batch, S samples, T frames, D width, V vocabulary.
"""

from dataclasses import dataclass
from typing import Protocol, Self

import torch
from torch import Tensor, nn

from model_export.encoders.layer_calls import LayerKind, MixerInPlace
from model_export.front_ends.log_mel import valid_frames
from service.bundle import LayerMixing


@dataclass(frozen=True)
class FrontEndFacts:
    """What a bundle must record about a front end.

    Attributes:
        samples_per_frame: hop of the frames.
        receptive_field_samples: samples one frame sees; the shortest accepted input.
        longest_pass_s: seconds that one pass can take; None means no limit.
        convention: how waveforms are prepared, for the reader.
        left_context_samples: samples that the frames of a chunk look back at before it.
        lookahead_samples: samples that they look ahead at behind it; None means that they cannot
            be told before the utterance is over.
        looks_far_ahead: why so, for the reader.
    """

    samples_per_frame: int
    receptive_field_samples: int
    longest_pass_s: float | None
    convention: str
    left_context_samples: int = 0
    lookahead_samples: int | None = None
    looks_far_ahead: str = ""


class Stem(Protocol):
    """What stands below the layers; an `nn.Module`."""

    @property
    def front_end(self) -> FrontEndFacts:
        """Facts for the bundle."""
        ...

    def __call__(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Embed waveforms `[B, S]` of lengths `[B]`: hidden `[B, T, D]`, frame lengths `[B]`."""
        ...


class CtcModel(nn.Module):
    """Encoder and CTC head.

    Args:
        stem: gives the first layer its frames.
        layers: transformers' encoder layers, lowest first.
        layer_kind: what a layer consists of, and how it is called.
        positions: hidden `[B, T, D]` to what the attention of all layers shares, if anything.
        final_norm: applied after the last layer.
        head: `nn.Linear(D, V)`.

    Attributes:
        mixing: how each layer mixes frames; kept by surgery.
        front_end: facts for the bundle.
        shown_after: layers whose frames go along with the logits, for a second pass; None for none.
    """

    def __init__(
        self,
        *,
        stem: Stem,
        layers: nn.ModuleList,
        layer_kind: LayerKind,
        positions: nn.Module | None,
        final_norm: nn.Module,
        head: nn.Linear,
    ) -> None:
        super().__init__()
        self.stem = stem
        self.layers = layers
        self.layer_kind = layer_kind
        self.positions = positions
        self.mixing = [LayerMixing(mixer="attention") for _ in layers]
        self.final_norm = final_norm
        self.head = head
        self.front_end = stem.front_end
        self.shown_after: int | None = None

    @property
    def width(self) -> int:
        """D, the width of the encoder."""
        return self.head.in_features

    @property
    def output_columns(self) -> int:
        """Columns of what it gives: labels, and the frames that go along."""
        return self.head.out_features + (0 if self.shown_after is None else self.width)

    def attention_of(self, layer_index: int) -> nn.Module:
        """Whatever mixes the frames of a layer."""
        module: nn.Module = getattr(self.layers[layer_index], self.layer_kind.attention)
        return module

    def train(self, mode: bool = True) -> Self:
        """Set the mode, but keep what is wholly frozen in evaluation mode, and batch norms always.

        Its dropout would make noise of what a cache holds as a constant. A batch norm's statistics
        are those of the base: no checkpoint holds them, and padding would move them.
        """
        super().train(mode)
        for part in (self.get_submodule("stem"), *self.layers):
            if not any(parameter.requires_grad for parameter in part.parameters()):
                part.eval()
        for part in self.modules():
            if isinstance(part, nn.BatchNorm1d):
                part.eval()
        return self

    def forward(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Recognise.

        Args:
            waveforms: `[B, S]`, 16 kHz in [-1, 1].
            lengths: `[B]`, valid samples.

        Returns:
            logits `[B, T, V]` and frame lengths `[B]`; behind the logits the frames, where they are
            shown: `[B, T, V + D]`.
        """
        first = self.shown_after or 0
        hidden, frame_lengths = self.lower(waveforms, lengths, first)
        logits = self.upper(hidden, frame_lengths, first)
        if self.shown_after is not None:
            logits = torch.cat([logits, hidden], dim=2)
        return logits, frame_lengths

    def lower(self, waveforms: Tensor, lengths: Tensor, stop: int) -> tuple[Tensor, Tensor]:
        """Run the stem and the layers below `stop`: hidden `[B, T, D]` and frame lengths `[B]`."""
        hidden, frame_lengths = self.stem(waveforms, lengths)
        return self.through(hidden, frame_lengths, range(stop)), frame_lengths

    def upper(self, hidden: Tensor, frame_lengths: Tensor, start: int) -> Tensor:
        """Run the layers from `start` and the head: logits `[B, T, V]`."""
        hidden = self.through(hidden, frame_lengths, range(start, len(self.layers)))
        logits: Tensor = self.head(self.final_norm(hidden))
        return logits

    def through(self, hidden: Tensor, frame_lengths: Tensor, indices: range) -> Tensor:
        """Run some layers: hidden frames `[B, T, D]` to hidden frames."""
        valid_mask = valid_frames(frame_lengths, hidden.shape[1])
        positions = self._positions_for(hidden, indices)
        for index in indices:
            hidden = self.layer_kind.call(self.layers[index], hidden, valid_mask, positions)
        return hidden

    def _positions_for(self, hidden: Tensor, indices: range) -> Tensor | None:
        """What attention shares, unless none is left: mixers never pay for a T x T tensor."""
        attends = any(not isinstance(self.attention_of(index), MixerInPlace) for index in indices)
        if self.positions is None or not attends:
            return None
        positions: Tensor = self.positions(hidden)
        return positions
