"""The training objective of an attention decoder, on frames that no longer change."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model_export.attention_decoder.decoder import AttentionDecoder
from model_export.encoders.ctc_model import CtcModel
from model_export.training.ctc_loss import IGNORED_LABEL

LABEL_SMOOTHING = 0.05


class AttentionObjective(nn.Module):
    """Cross-entropy of the next token, given all before it.

    Args:
        decoder: what learns.
        model: makes the frames, and does not learn.
        after_layers: how many of its layers the frames go through.
        cached: inputs are these frames instead of waveforms.
    """

    def __init__(
        self, decoder: AttentionDecoder, model: CtcModel, *, after_layers: int, cached: bool
    ) -> None:
        super().__init__()
        self.decoder = decoder
        self._model = [model.eval().requires_grad_(False)]  # no submodule: it is not saved
        self._after_layers = after_layers
        self._cached = cached
        self._start_id = decoder.tokens.num_embeddings - 2
        self._end_id = decoder.tokens.num_embeddings - 1

    def forward(self, inputs: Tensor, input_lengths: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Compute the losses.

        Args:
            inputs: waveforms `[batch, samples]` or frames `[batch, frames, width]`.
            input_lengths: `[batch]`, valid samples or frames.
            labels: `[batch, tokens]`, padded with `IGNORED_LABEL`.

        Returns:
            losses `[batch]`, per token, its end included; and loss, their mean.
        """
        frames, lengths = self._frames(inputs, input_lengths)
        before, wanted = self._shifted(labels)
        memory = self.decoder.remember(frames, lengths)
        logits, _ = self.decoder(before, memory, self.decoder.nothing_before(len(before)))
        losses = F.cross_entropy(
            logits.float().transpose(1, 2),
            wanted,
            ignore_index=IGNORED_LABEL,
            label_smoothing=LABEL_SMOOTHING if self.training else 0.0,
            reduction="none",
        )
        losses = losses.sum(dim=1) / (wanted != IGNORED_LABEL).sum(dim=1)
        return {"loss": losses.mean(), "losses": losses}

    def _frames(self, inputs: Tensor, input_lengths: Tensor) -> tuple[Tensor, Tensor]:
        if self._cached:
            return inputs.float(), input_lengths
        model = self._model[0].to(inputs.device)
        with torch.no_grad():
            return model.lower(inputs, input_lengths, self._after_layers)

    def _shifted(self, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens to see, beginning with the start, and those to give, ending with the end."""
        lengths = (labels != IGNORED_LABEL).sum(dim=1, keepdim=True)
        wanted = F.pad(labels, (0, 1), value=IGNORED_LABEL).scatter(1, lengths, self._end_id)
        seen = labels.masked_fill(labels == IGNORED_LABEL, self._end_id)
        return F.pad(seen, (1, 0), value=self._start_id), wanted
