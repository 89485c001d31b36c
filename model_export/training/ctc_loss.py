"""The CTC loss of padded batches."""

import torch.nn.functional as F
from torch import Tensor

IGNORED_LABEL = -100


def ctc_losses(logits: Tensor, frame_lengths: Tensor, labels: Tensor, blank_id: int) -> Tensor:
    """CTC loss per label of each utterance `[batch]`, in float32.

    It is zero for utterances with fewer frames than their labels need.
    """
    label_mask = labels != IGNORED_LABEL
    label_lengths = label_mask.sum(dim=1)
    losses = F.ctc_loss(
        logits.float().log_softmax(dim=2).transpose(0, 1),
        labels.clamp(min=0),
        frame_lengths,
        label_lengths,
        blank=blank_id,
        reduction="none",
        zero_infinity=True,
    )
    return losses / label_lengths.clamp(min=1)
