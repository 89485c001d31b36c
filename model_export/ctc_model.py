"""A speech encoder with a CTC head, cut where the frozen part ends.

    waveforms -> stem -> layers[0 .. n) -> final norm -> head -> logits

transformers' own layers are kept; this walk around them passes valid lengths instead of a square
mask, and can stop or start between two layers, which is what a feature cache needs.

Shapes: B batch, S samples, T frames, D width, V vocabulary.
"""

from dataclasses import dataclass
from typing import Self

from torch import Tensor, nn

from model_export.log_mel import valid_frames
from service.bundle import LayerMixing


@dataclass(frozen=True)
class LayerNames:
    """Attributes of one encoder layer, which differ between families.

    Attributes:
        attention: self-attention, or what replaced it.
        attention_norm: the LayerNorm before (or after) it.
        feed_forward: the layer's other learnable parts.
    """

    attention: str
    attention_norm: str
    feed_forward: tuple[str, ...]


@dataclass(frozen=True)
class FrontEndFacts:
    """What a bundle must record about a front end.

    Attributes:
        samples_per_frame: hop of the frames.
        receptive_field_samples: samples one frame sees; the shortest accepted input.
        longest_pass_s: seconds that one pass can take; None means no limit.
        convention: how waveforms are prepared, for the reader.
    """

    samples_per_frame: int
    receptive_field_samples: int
    longest_pass_s: float | None
    convention: str


class MixerInPlace(nn.Module):
    """Lets a mixing block stand where transformers calls self-attention.

    Args:
        mixer: a block called with (frames `[B, T, D]`, valid mask `[B, T]`).
    """

    def __init__(self, mixer: nn.Module) -> None:
        super().__init__()
        self.mixer = mixer

    def forward(self, hidden_states: Tensor, attention_mask: Tensor) -> tuple[Tensor, None]:
        """Mix; the mask is the valid mask, and there are no attention weights to return."""
        return self.mixer(hidden_states, attention_mask), None


class CtcModel(nn.Module):
    """Encoder and CTC head.

    Args:
        stem: (waveforms `[B, S]`, lengths `[B]`) to (hidden `[B, T, D]`, frame lengths `[B]`).
        layers: transformers' encoder layers, lowest first.
        layer_names: attributes of a layer.
        final_norm: applied after the last layer.
        head: `nn.Linear(D, V)`.
        front_end: facts for the bundle.

    Attributes:
        mixing: how each layer mixes frames; kept by surgery.
    """

    def __init__(
        self,
        *,
        stem: nn.Module,
        layers: nn.ModuleList,
        layer_names: LayerNames,
        final_norm: nn.Module,
        head: nn.Linear,
        front_end: FrontEndFacts,
    ) -> None:
        super().__init__()
        self.stem = stem
        self.layers = layers
        self.layer_names = layer_names
        self.mixing = [LayerMixing(mixer="attention") for _ in layers]
        self.final_norm = final_norm
        self.head = head
        self.front_end = front_end

    @property
    def width(self) -> int:
        """D, the width of the encoder."""
        return self.head.in_features

    def attention_of(self, layer_index: int) -> nn.Module:
        """Whatever mixes the frames of a layer."""
        module: nn.Module = getattr(self.layers[layer_index], self.layer_names.attention)
        return module

    def train(self, mode: bool = True) -> Self:
        """Set the mode, but keep what is wholly frozen in evaluation mode.

        Its dropout would make noise of what a cache holds as a constant.
        """
        super().train(mode)
        for part in (self.stem, *self.layers):
            if not any(parameter.requires_grad for parameter in part.parameters()):
                part.eval()
        return self

    def forward(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Recognise.

        Args:
            waveforms: `[B, S]`, 16 kHz in [-1, 1].
            lengths: `[B]`, valid samples.

        Returns:
            logits `[B, T, V]` and frame lengths `[B]`.
        """
        hidden, frame_lengths = self.lower(waveforms, lengths, 0)
        return self.upper(hidden, frame_lengths, 0), frame_lengths

    def lower(self, waveforms: Tensor, lengths: Tensor, stop: int) -> tuple[Tensor, Tensor]:
        """Run the stem and the layers below `stop`: hidden `[B, T, D]` and frame lengths `[B]`."""
        hidden, frame_lengths = self.stem(waveforms, lengths)
        return self._run(hidden, frame_lengths, range(stop)), frame_lengths

    def upper(self, hidden: Tensor, frame_lengths: Tensor, start: int) -> Tensor:
        """Run the layers from `start` and the head: logits `[B, T, V]`."""
        hidden = self._run(hidden, frame_lengths, range(start, len(self.layers)))
        logits: Tensor = self.head(self.final_norm(hidden))
        return logits

    def _run(self, hidden: Tensor, frame_lengths: Tensor, indices: range) -> Tensor:
        valid_mask = valid_frames(frame_lengths, hidden.shape[1])
        # Attention broadcasts this over queries, so no T x T mask is built.
        key_mask = valid_mask[:, None, None, :]
        for index in indices:
            replaced = isinstance(self.attention_of(index), MixerInPlace)
            mask = valid_mask if replaced else key_mask
            hidden = self.layers[index](hidden, attention_mask=mask)
        return hidden
