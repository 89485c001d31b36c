"""Initialising new mixers from the attention they replace, on speech without transcripts.

Each mixer learns to give, for the very frames that the pretrained attention gets, the very output
it gives. All replaced layers learn side by side, each on the teacher's own frames, so that errors
do not pile up.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from model_export.ctc_model import CtcModel
from model_export.log_mel import valid_frames


class MatchingObjective(nn.Module):
    """Relative squared error between replaced mixers and the attention of a teacher.

    Args:
        student: the model whose mixers learn.
        teacher: the same base with its attention in place.
        layers: indices of the replaced layers.
        cached: inputs are hidden frames below the lowest of them instead of waveforms.
    """

    def __init__(
        self, student: CtcModel, teacher: CtcModel, *, layers: tuple[int, ...], cached: bool
    ) -> None:
        super().__init__()
        self.mixers = nn.ModuleList(student.attention_of(index) for index in layers)
        self._layers = layers
        self._cached = cached
        # Not a submodule: the teacher neither learns nor is saved.
        self._teacher = [teacher.eval().requires_grad_(False)]
        self._seen: dict[int, tuple[Tensor, Tensor]] = {}
        for index in layers:
            teacher.attention_of(index).register_forward_hook(self._watch(index), with_kwargs=True)

    def forward(self, inputs: Tensor, input_lengths: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Compute the loss.

        Args:
            inputs: waveforms `[batch, samples]` or hidden frames `[batch, frames, width]`.
            input_lengths: `[batch]`, valid samples or frames.
            labels: not used.

        Returns:
            loss, a scalar: squared error over the target's energy, averaged over layers.
        """
        frame_lengths = self._run_teacher(inputs, input_lengths)
        losses = []
        for index, mixer in zip(self._layers, self.mixers, strict=True):
            frames, target = self._seen.pop(index)
            valid_mask = valid_frames(frame_lengths, frames.shape[1])
            error = (mixer(frames, valid_mask)[0] - target)[valid_mask].square().sum()
            losses.append(error / target[valid_mask].square().sum())
        return {"loss": torch.stack(losses).mean()}

    def _run_teacher(self, inputs: Tensor, input_lengths: Tensor) -> Tensor:
        teacher, first_layer = self._teacher[0], min(self._layers)
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
