"""The training objective: CTC on top of a frozen lower part."""

from typing import Any

import torch
from torch import Tensor, nn

from model_export.encoders.ctc_model import CtcModel
from model_export.front_ends.log_mel import valid_frames
from model_export.mixing.chunking import see_chunks
from model_export.training.chunk_draws import ChunkDraws
from model_export.training.ctc_loss import IGNORED_LABEL, ctc_losses
from model_export.training.masking import SpecAugment, spec_augment


class CtcObjective(nn.Module):
    """Loss and predictions for a batch; the lower part runs without gradients or not at all.

    Only a stem that learns has gradients too; then the lowest layer that learns is the first.

    Its state holds the trained tensors only, which is what makes checkpoints small.

    Args:
        model: with `requires_grad` already set.
        first_layer: the lowest layer that learns.
        cached: inputs are hidden frames of the lower part instead of waveforms.
        blank_id: the CTC blank.
        spec: masking in training mode; None for none.
        chunks: sizes of the chunks that frames see; None lets them see the whole utterance.
    """

    def __init__(
        self,
        model: CtcModel,
        *,
        first_layer: int,
        cached: bool,
        blank_id: int,
        spec: SpecAugment | None,
        chunks: ChunkDraws | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        self.first_layer = first_layer
        self.cached = cached
        self.blank_id = blank_id
        self.spec = spec
        self.chunks = chunks
        keep_learning_state(self)

    def forward(self, inputs: Tensor, input_lengths: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Compute the losses.

        Args:
            inputs: waveforms `[batch, samples]` or hidden frames `[batch, frames, width]`.
            input_lengths: `[batch]`, valid samples or frames.
            labels: `[batch, labels]`, padded with `IGNORED_LABEL`.

        Returns:
            losses `[batch]`, the CTC loss per label of each utterance; loss, their mean; and
            predictions `[batch, frames]`, the best label of each frame, `IGNORED_LABEL` on padding.
        """
        if self.chunks is not None:
            see_chunks(self.model, self.chunks.draw(training=self.training))
        hidden, frame_lengths = self._lower(inputs, input_lengths)
        if self.training and self.spec is not None:
            hidden = spec_augment(
                hidden,
                time_masks=self.spec.time_masks,
                longest_time_mask_frames=self.spec.longest_time_mask_frames,
                width_masks=self.spec.width_masks,
                widest_mask_share=self.spec.widest_mask_share,
            )
        logits = self.model.upper(hidden, frame_lengths, self.first_layer)
        padding_mask = ~valid_frames(frame_lengths, logits.shape[1])
        losses = ctc_losses(logits, frame_lengths, labels, self.blank_id)
        return {
            "loss": losses.mean(),
            "losses": losses,
            "predictions": logits.argmax(dim=2).masked_fill(padding_mask, IGNORED_LABEL),
        }

    def _lower(self, inputs: Tensor, input_lengths: Tensor) -> tuple[Tensor, Tensor]:
        if self.cached:
            return inputs.float(), input_lengths
        stem = self.model.get_submodule("stem")
        learns = any(parameter.requires_grad for parameter in stem.parameters())
        with torch.set_grad_enabled(learns and torch.is_grad_enabled()):
            return self.model.lower(inputs, input_lengths, self.first_layer)


def keep_learning_state(objective: nn.Module) -> None:
    """Let an objective's state hold what learns and nothing else."""
    # The Trainer asks for it when keys are missing.
    objective._keys_to_ignore_on_save = None  # type: ignore[assignment]
    objective.register_state_dict_post_hook(_drop_frozen)
    objective.register_load_state_dict_post_hook(_forgive_missing)


def _drop_frozen(
    module: nn.Module, state: dict[str, Any], prefix: str, _metadata: dict[str, Any]
) -> None:
    learning = {prefix + name for name, value in module.named_parameters() if value.requires_grad}
    for name in state.keys() - learning:
        del state[name]


def _forgive_missing(_: nn.Module, keys: Any) -> None:  # noqa: ANN401  torch does not export its type
    keys.missing_keys.clear()
