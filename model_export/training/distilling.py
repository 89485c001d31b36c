"""Teaching a changed encoder to give, layer by layer, the frames that its base gives.

Matching (see `matching`) shows every mixer the very frames that attention saw. Here the student
goes its own way from the waveform on, so that what one layer loses the next can make good; no
transcripts are needed. After Romero et al. 2015 (FitNets, arXiv 1412.6550), for all layers at once.
"""

import torch
from torch import Tensor, nn

from model_export.encoders.ctc_model import CtcModel
from model_export.front_ends.log_mel import valid_frames
from model_export.mixing.chunking import see_chunks
from model_export.training.chunk_draws import ChunkDraws
from model_export.training.objective import keep_learning_state

# Of the mean variance: features that hardly vary in an utterance do not count for more than this.
SMALLEST_VARIANCE_SHARE = 0.05


class DistillingObjective(nn.Module):
    """Squared error between the hidden frames of a student and of a teacher, after every layer.

    Args:
        student: what of its stem and layers has `requires_grad` learns.
        teacher: the same base with its attention in place, with as many layers or fewer.
        layer_count: how many layers, from the lowest, are compared.
        chunks: sizes of the chunks that the student sees; the teacher sees the whole utterance.
    """

    def __init__(
        self,
        student: CtcModel,
        teacher: CtcModel,
        *,
        layer_count: int,
        chunks: ChunkDraws | None = None,
    ) -> None:
        super().__init__()
        self.stem = student.get_submodule("stem")
        self.layers = student.layers[:layer_count]
        self._chunks = chunks
        # No submodules: the teacher neither learns nor is saved, nor what of the student is above.
        self._student = [student]
        self._teacher = [teacher.eval().requires_grad_(False)]
        keep_learning_state(self)

    def forward(self, inputs: Tensor, input_lengths: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Compute the losses.

        Args:
            inputs: waveforms `[batch, samples]`.
            input_lengths: `[batch]`, valid samples.
            labels: not used.

        Returns:
            losses `[batch]`, in float32: see `frames_error`, averaged over layers; and loss, their
            mean.
        """
        student, teacher = self._student[0], self._teacher[0].to(inputs.device)
        if self._chunks is not None:
            see_chunks(student, self._chunks.draw(training=self.training))
        with torch.no_grad():
            target, target_lengths = teacher.lower(inputs, input_lengths, 0)
        hidden, frame_lengths = student.lower(inputs, input_lengths, 0)
        frames = min(target.shape[1], hidden.shape[1])
        valid_mask = valid_frames(torch.minimum(target_lengths, frame_lengths), frames)
        by_layer = []
        for index in range(len(self.layers)):
            with torch.no_grad():
                target = teacher.through(target, target_lengths, range(index, index + 1))
            hidden = student.through(hidden, frame_lengths, range(index, index + 1))
            by_layer.append(frames_error(hidden[:, :frames], target[:, :frames], valid_mask))
        losses = torch.stack(by_layer).mean(dim=0)
        return {"loss": losses.mean(), "losses": losses}


def frames_error(frames: Tensor, target: Tensor, valid_mask: Tensor) -> Tensor:
    """Squared error of frames over the variance that each feature has within the utterance.

    A few features of a pretrained encoder are hundreds of times as large as the others; divided so,
    all count alike.

    Args:
        frames: `[batch, frames, width]`.
        target: the same shape.
        valid_mask: `[batch, frames]`, True on valid frames.

    Returns:
        `[batch]`, in float32: 0 where all is met, about 1 where only the mean of each feature is.
    """
    mask = valid_mask.unsqueeze(2)
    counts = mask.sum(dim=1).clamp(min=1)
    target = target.float()
    means = target.masked_fill(~mask, 0.0).sum(dim=1) / counts
    variances = _mean_square(target - means.unsqueeze(1), mask, counts)
    floor = SMALLEST_VARIANCE_SHARE * variances.mean(dim=1, keepdim=True)
    errors = _mean_square(frames.float() - target, mask, counts)
    return (errors / torch.maximum(variances, floor).clamp(min=1e-12)).mean(dim=1)


def _mean_square(frames: Tensor, mask: Tensor, counts: Tensor) -> Tensor:
    """`[batch, frames, width]` to `[batch, width]`."""
    return frames.masked_fill(~mask, 0.0).square().sum(dim=1) / counts
