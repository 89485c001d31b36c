"""Initialising new mixers from the attention they replace, on speech without transcripts.

Each mixer learns to give, for the very frames that the pretrained attention gets, the very output
it gives. All replaced layers learn side by side, each on the teacher's own frames, so that errors
do not pile up.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from model_export.encoders.ctc_model import CtcModel
from model_export.front_ends.log_mel import valid_frames
from model_export.mixing.chunking import see_chunks
from model_export.training.chunk_draws import ChunkDraws


class MatchingObjective(nn.Module):
    """Relative squared error between replaced mixers and the attention of a teacher.

    Args:
        student: the model whose mixers learn.
        teacher: the same base with its attention in place.
        layers: indices of the replaced layers.
        cached: inputs are hidden frames below the lowest of them instead of waveforms.
        chunks: sizes of the chunks that the mixers see; the attention sees the whole utterance.
    """

    def __init__(
        self,
        student: CtcModel,
        teacher: CtcModel,
        *,
        layers: tuple[int, ...],
        cached: bool,
        chunks: ChunkDraws | None = None,
    ) -> None:
        super().__init__()
        self.mixers = nn.ModuleList(student.attention_of(index) for index in layers)
        self._layers = layers
        self._cached = cached
        self._chunks = chunks
        # No submodules: the teacher neither learns nor is saved, and of the student the mixers do.
        self._student = [student]
        self._teacher = [teacher.eval().requires_grad_(False)]
        self._seen: dict[int, tuple[Tensor, Tensor]] = {}
        for index in layers:
            teacher.attention_of(index).register_forward_hook(self._watch(index), with_kwargs=True)

    def forward(self, inputs: Tensor, input_lengths: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Compute the losses.

        Args:
            inputs: waveforms `[batch, samples]` or hidden frames `[batch, frames, width]`.
            input_lengths: `[batch]`, valid samples or frames.
            labels: not used.

        Returns:
            losses `[batch]`, in float32: squared error of each utterance over the target's energy,
            averaged over layers; and loss, their mean.
        """
        if self._chunks is not None:
            see_chunks(self._student[0], self._chunks.draw(training=self.training))
        frame_lengths = self._run_teacher(inputs, input_lengths)
        by_layer = []
        for index, mixer in zip(self._layers, self.mixers, strict=True):
            frames, target = self._seen.pop(index)
            valid_mask = valid_frames(frame_lengths, frames.shape[1])
            output = mixer(frames, valid_mask)[0]
            error = _energy(output.float() - target.float(), valid_mask)
            by_layer.append(error / _energy(target.float(), valid_mask))
        losses = torch.stack(by_layer).mean(dim=0)
        return {"loss": losses.mean(), "losses": losses}

    def _run_teacher(self, inputs: Tensor, input_lengths: Tensor) -> Tensor:
        teacher, first_layer = self._teacher[0].to(inputs.device), min(self._layers)
        with torch.no_grad():
            if self._cached:
                hidden, frame_lengths = inputs.float(), input_lengths
            else:
                hidden, frame_lengths = teacher.lower(inputs, input_lengths, first_layer)
            teacher.upper(hidden, frame_lengths, first_layer)
        return frame_lengths

    def _watch(self, index: int) -> Callable[..., None]:
        def keep(
            _: nn.Module,
            args: tuple[Tensor, ...],
            kwargs: Mapping[str, Tensor],
            output: tuple[Tensor, ...],
        ) -> None:
            frames = args[0] if args else kwargs["hidden_states"]
            self._seen[index] = (frames.detach(), output[0].detach())

        return keep


def _energy(frames: Tensor, valid_mask: Tensor) -> Tensor:
    """Sum of squares over the valid frames of each utterance: `[B, T, D]` to `[B]`."""
    return frames.masked_fill(~valid_mask.unsqueeze(2), 0.0).square().sum(dim=(1, 2))
